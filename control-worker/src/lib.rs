//! Trial.
use worker::*;
/// a
#[durable_object(fetch)]
pub struct LiveInput { _state: State }
impl DurableObject for LiveInput { fn new(state: State, _env: Env) -> Self { Self { _state: state } } async fn fetch(&self, _req: Request) -> Result<Response> { Response::ok("x") } }
/// a
#[durable_object(fetch)]
pub struct RelayNode { _state: State }
impl DurableObject for RelayNode { fn new(state: State, _env: Env) -> Self { Self { _state: state } } async fn fetch(&self, _req: Request) -> Result<Response> { Response::ok("x") } }
#[event(fetch)]
async fn fetch(_req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let n: Option<u32> = env.d1("DB")?.prepare("SELECT count(*) AS n FROM tokens").first(Some("n")).await?;
    Response::from_json(&serde_json::json!({"result": [], "tokens": n, "url": env.var("INGEST_RTMPS_URL")?.to_string(), "secret": env.secret("KEY_HASH_SECRET").is_ok()}))
}
