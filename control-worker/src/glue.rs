//! What crosses between Wasm and JavaScript for nearly every request, in one step each: `glue.js` (see
//! docs/decisions/0083-one-crossing-where-there-were-many.md).

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Promise, Uint8Array};
use worker::web_sys::{Request, Response};
use worker::{Env, Result};

/// The text that a promise comes to; none where it comes to null.
pub(crate) async fn text(promise: std::result::Result<Promise, JsValue>) -> Result<Option<String>> {
    Ok(JsFuture::from(promise?).await?.as_string())
}

/// The bytes that a promise comes to.
pub(crate) async fn bytes(promise: std::result::Result<Promise, JsValue>) -> Result<Vec<u8>> {
    let bytes: Uint8Array = JsFuture::from(promise?).await?.unchecked_into();
    Ok(bytes.to_vec())
}

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    pub(crate) fn answer(
        status: u16,
        headers: &str,
        body: Option<&[u8]>,
    ) -> std::result::Result<Response, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn ask(
        env: &Env,
        binding: &str,
        name: &str,
        url: &str,
        ray: Option<&str>,
        question: &str,
    ) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn asked(request: &Request) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn batch(env: &Env, statements: &str) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn head(request: &Request) -> std::result::Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn remembered(env: &Env, key: &str) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn rows(sql: &JsValue, statements: &str) -> std::result::Result<String, JsValue>;
}
