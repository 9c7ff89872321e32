//! An app that a user lets in, up to the code it gets.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Server};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const QUERY: &str = "client_id=pocketpaw-desktop&redirect_uri=http%3A%2F%2Flocalhost%3A54321&scope=chat&state=x\
     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

/// The operator's browser on the server's own machine lets the app in; gives what the app exchanges for its tokens.
pub(crate) async fn let_app_in(server: &Server) -> Value {
    let path = format!("/api/v1/oauth/authorize?{QUERY}");
    let page = server.anonymous(Method::GET, &path).send().await.unwrap();
    let page = Answer::of(page).await.with_status(200);
    let field = "name=\"consent_token\" value=\"";
    let (_, rest) = page.text.split_once(field).unwrap();
    let consent = rest.split('"').next().unwrap();
    let sent = server
        .anonymous(Method::POST, "/api/v1/oauth/authorize/consent")
        .header("origin", format!("http://{}", server.address))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("{QUERY}&consent_token={consent}&action=allow"))
        .send()
        .await
        .unwrap();
    let location = sent.headers()["location"].to_str().unwrap();
    let location = reqwest::Url::parse(location).unwrap();
    let code = location.query_pairs().find(|(name, _)| name == "code");
    json!({
        "grant_type": "authorization_code", "code": code.unwrap().1, "code_verifier": VERIFIER,
        "client_id": "pocketpaw-desktop", "redirect_uri": "http://localhost:54321"
    })
}
