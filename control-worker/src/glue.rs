//! What crosses between Wasm and JavaScript for nearly every request, in one step each: `glue.js` (see
//! docs/decisions/0083-one-crossing-where-there-were-many.md).

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::prelude::{Closure, JsValue, wasm_bindgen};
use worker::web_sys::{Request, Response};
use worker::{Env, Error, Result};

/// Runs statements, a pair of text and parameters each, as one batch of D1. The answer has a line for each.
pub(crate) fn batch(env: &Env, statements: &str) -> Promised {
    Promised::new(|place| js::batch(place, env, statements))
}

/// What is remembered under a key, if anything is.
pub(crate) fn remembered(env: &Env, key: &str) -> Promised {
    Promised::new(|place| js::remembered(place, env, key))
}

/// Asks an object, which comes to nothing where it fails.
pub(crate) fn ask(
    env: &Env,
    binding: &str,
    name: &str,
    url: &str,
    ray: Option<&str>,
    question: &str,
) -> Promised {
    Promised::new(|place| js::ask(place, env, binding, name, url, ray, question))
}

/// What an object is asked: the caller's ray, the path, the question, a line each.
pub(crate) fn asked(request: &Request) -> Promised {
    Promised::new(|place| js::asked(place, request))
}

/// The body of a request, whole.
pub(crate) fn body(request: &Request) -> Promised {
    Promised::new(|place| js::body(place, request))
}

pub(crate) use self::js::{answer, answer_of_object, head, rows};

/// What a promise comes to: bytes, or none where it comes to null. All promises tell one function, by the
/// place of who waits: `JsFuture` makes two for each, which costs more than most of what is waited for.
pub(crate) struct Promised {
    place: usize,
    is_over: bool,
}

impl Promised {
    fn new(start: impl FnOnce(usize)) -> Self {
        IS_LISTENING.with(|()| {});
        let place = PLACES.with_borrow_mut(Places::take);
        start(place);
        Self {
            place,
            is_over: false,
        }
    }

    /// As text.
    pub(crate) async fn text(self) -> Result<Option<String>> {
        let text = self.await?.map(String::from_utf8).transpose();
        text.map_err(|error| Error::RustError(error.utf8_error().to_string()))
    }
}

impl Future for Promised {
    type Output = Result<Option<Vec<u8>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let settled = PLACES.with_borrow_mut(|places| places.look(self.place, context));
        self.is_over = settled.is_some();
        settled.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        if !self.is_over {
            PLACES.with_borrow_mut(|places| places.leave(self.place));
        }
    }
}

enum Place {
    Free,
    /// The promise is open.
    Waiting(Option<Waker>),
    Settled(Result<Option<Vec<u8>>>),
    /// The promise is open, and nobody waits.
    Left,
}

/// Who waits for promises.
#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

impl Places {
    fn take(&mut self) -> usize {
        let waiting = Place::Waiting(None);
        if let Some(free) = self.free.pop()
            && let Some(place) = self.all.get_mut(free)
        {
            *place = waiting;
            return free;
        }
        self.all.push(waiting);
        self.all.len() - 1
    }

    fn look(&mut self, place: usize, context: &Context<'_>) -> Option<Result<Option<Vec<u8>>>> {
        let found = self.all.get_mut(place)?;
        if let Place::Waiting(waker) = found {
            *waker = Some(context.waker().clone());
            return None;
        }
        match std::mem::replace(found, Place::Free) {
            Place::Settled(result) => {
                self.free.push(place);
                Some(result)
            }
            _ => None,
        }
    }

    fn leave(&mut self, place: usize) {
        match self.all.get_mut(place) {
            Some(found @ Place::Waiting(_)) => *found = Place::Left,
            Some(found) => {
                *found = Place::Free;
                self.free.push(place);
            }
            None => {}
        }
    }

    fn settle(&mut self, place: usize, result: Result<Option<Vec<u8>>>) -> Option<Waker> {
        match self.all.get_mut(place)? {
            Place::Waiting(waker) => {
                let waker = waker.take();
                *self.all.get_mut(place)? = Place::Settled(result);
                waker
            }
            left => {
                *left = Place::Free;
                self.free.push(place);
                None
            }
        }
    }
}

thread_local! {
    static PLACES: RefCell<Places> = RefCell::default();

    /// Has promises tell this instance of the Wasm what they come to.
    static IS_LISTENING: () = {
        let told = Closure::<dyn FnMut(usize, Option<Vec<u8>>, Option<String>)>::new(
            |place, bytes, error: Option<String>| {
                let result = error.map_or(Ok(bytes), |error| Err(Error::JsError(error)));
                let waker = PLACES.with_borrow_mut(|places| places.settle(place, result));
                if let Some(waker) = waker {
                    waker.wake();
                }
            },
        );
        js::listen(&told);
        told.forget();
    };
}

mod js {
    use super::{Closure, Env, JsValue, Request, Response, wasm_bindgen};

    #[wasm_bindgen(module = "/src/glue.js")]
    extern "C" {
        #[wasm_bindgen(catch)]
        pub(crate) fn answer(
            status: u16,
            headers: &str,
            body: Option<&[u8]>,
        ) -> Result<Response, JsValue>;

        #[wasm_bindgen(catch)]
        pub(crate) fn answer_of_object(text: &str) -> Result<Response, JsValue>;

        pub(super) fn ask(
            place: usize,
            env: &Env,
            binding: &str,
            name: &str,
            url: &str,
            ray: Option<&str>,
            question: &str,
        );

        pub(super) fn asked(place: usize, request: &Request);

        pub(super) fn batch(place: usize, env: &Env, statements: &str);

        pub(super) fn body(place: usize, request: &Request);

        #[wasm_bindgen(catch)]
        pub(crate) fn head(request: &Request) -> Result<String, JsValue>;

        pub(super) fn listen(told: &Closure<dyn FnMut(usize, Option<Vec<u8>>, Option<String>)>);

        pub(super) fn remembered(place: usize, env: &Env, key: &str);

        #[wasm_bindgen(catch)]
        pub(crate) fn rows(sql: &JsValue, statements: &str) -> Result<String, JsValue>;
    }
}
