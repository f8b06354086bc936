//! The MCP server over HTTP: for clients on this machine that know the token.
//!
//! It listens on a loopback address only. A request must name this machine as its host, and if a browser sends it, come from a page of this machine: so no
//! page from elsewhere can reach it by another name. And it must carry the token, which stands in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::Memory;
use crate::error::{MemoryError, Result};
use crate::mcp::Server;

/// The path of the endpoint.
const PATH: &str = "/mcp";

/// Bytes of a token that is drawn.
const TOKEN_LEN: usize = 32;

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// Serves until the process is told to end. `told` hears the address.
///
/// # Errors
///
/// [`MemoryError::Invalid`] for an address that others can reach, or a token that others can read.
pub async fn serve(
    memory: Memory,
    address: SocketAddr,
    token_file: &Path,
    told: impl FnOnce(SocketAddr),
) -> Result<()> {
    if !address.ip().is_loopback() {
        let text = format!("{address} can be reached by others; use 127.0.0.1 or [::1]");
        return Err(MemoryError::Invalid(text));
    }
    let failed = |what: &str, error: io::Error| MemoryError::Failed(format!("{what}: {error}"));
    let token = Sha256::digest(token(token_file)?);
    let listener =
        TcpListener::bind(address).await.map_err(|error| failed(&format!("http://{address}"), error))?;
    let address = listener.local_addr().map_err(|error| failed("the address", error))?;
    let port = address.port();
    let hosts = ["localhost", "127.0.0.1", "[::1]", "::1"];
    let origins = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}"));
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins);
    let server = Server::new(Arc::new(memory));
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let stop = |kind| signal(kind).map_err(|error| failed("signals", error));
    let (mut terminate, mut interrupt) = (stop(SignalKind::terminate())?, stop(SignalKind::interrupt())?);
    told(address);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of descriptors, say: it passes.
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let service = TowerToHyperService::new(service.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let service = service.clone();
            async move {
                if let Some(refused) = refuse(&request, &token) {
                    return Ok(refused);
                }
                hyper::service::Service::call(&service, request).await
            }
        });
        tokio::spawn(async move {
            // A connection that breaks concerns nobody else.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The answer to a request that does not get to the server.
fn refuse(request: &Request<Incoming>, token: &[u8]) -> Option<Response<Body>> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    // Hashes are compared, so how long it takes says nothing of the token.
    let is_known = given.is_some_and(|(_, given)| Sha256::digest(given.trim()).as_slice() == token);
    match (is_known, request.uri().path()) {
        (true, PATH) => None,
        (true, _) => Some(plain(StatusCode::NOT_FOUND, "the endpoint is /mcp\n")),
        (false, _) => {
            let mut answer = plain(StatusCode::UNAUTHORIZED, "send the token as Authorization: Bearer …\n");
            answer.headers_mut().insert(WWW_AUTHENTICATE, hyper::header::HeaderValue::from_static("Bearer"));
            Some(answer)
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *answer.status_mut() = status;
    answer
}

/// The token in a file, which is made with a token if there is none.
fn token(path: &Path) -> Result<String> {
    let failed = |error: io::Error| MemoryError::Invalid(format!("token file {}: {error}", path.display()));
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let mut drawn = [0; TOKEN_LEN];
            getrandom::fill(&mut drawn).map_err(|error| failed(io::Error::other(error)))?;
            let token: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
            file.write_all(token.as_bytes()).map_err(failed)?;
            return Ok(token);
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let mut file = fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(MemoryError::Invalid(format!("others can read {0}; chmod 600 {0}", path.display())));
    }
    let mut token = String::new();
    file.read_to_string(&mut token).map_err(failed)?;
    match token.trim() {
        "" => {
            Err(MemoryError::Invalid(format!("{} is empty; delete it, and a token is drawn", path.display())))
        }
        token => Ok(token.to_owned()),
    }
}
