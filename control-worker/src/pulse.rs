//! When sockets last sent a ping: the platform answers those for a sleeping object, and remembers.

use shared::time::Timestamp;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{State, WebSocket};

/// A way to ask; `worker` has none.
pub(crate) struct Pulses(Context);

impl Pulses {
    /// Takes it out of the object's state.
    pub(crate) fn of(state: State) -> (State, Self) {
        let inner = state._inner();
        let context = JsValue::from(inner.clone()).into();
        (State::from(inner), Self(context))
    }

    /// When that socket last sent a ping, if it has.
    pub(crate) fn last(&self, socket: &WebSocket) -> Option<Timestamp> {
        let date = self.0.auto_response_timestamp(socket.as_ref()).ok()??;
        let millis = date.time();
        // A time in whole milliseconds, far below 2^53.
        #[expect(clippy::cast_possible_truncation)]
        let millis = millis as i64;
        Some(Timestamp::from_micros(millis.saturating_mul(1000)))
    }
}

#[wasm_bindgen]
extern "C" {
    type Context;

    #[wasm_bindgen(method, catch, js_name = getWebSocketAutoResponseTimestamp)]
    fn auto_response_timestamp(this: &Context, socket: &JsValue) -> Result<Option<Date>, JsValue>;

    type Date;

    #[wasm_bindgen(method, js_name = getTime)]
    fn time(this: &Date) -> f64;
}
