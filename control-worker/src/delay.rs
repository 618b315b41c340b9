//! Waiting for a time. `worker`'s own way takes the handle of a time-out for a number; the runtime
//! gives an object.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};

/// Is over after a while. Dropped before, it leaves nothing behind.
pub(crate) struct Delay {
    duration: Duration,
    state: Rc<State>,
    running: Option<(JsValue, Closure<dyn FnMut()>)>,
}

#[derive(Default)]
struct State {
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        Self {
            duration,
            state: Rc::default(),
            running: None,
        }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state.over.get() {
            return Poll::Ready(());
        }
        self.state.waker.replace(Some(context.waker().clone()));
        if self.running.is_none() {
            let state = Rc::clone(&self.state);
            let callback = Closure::<dyn FnMut()>::new(move || {
                state.over.set(true);
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
            });
            let millis = self.duration.as_secs_f64() * 1000.0;
            let handle = set_timeout(&callback, millis);
            self.running = Some((handle, callback));
        }
        Poll::Pending
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        if let Some((handle, _)) = &self.running
            && !self.state.over.get()
        {
            clear_timeout(handle);
        }
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Closure<dyn FnMut()>, millis: f64) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(handle: &JsValue);
}
