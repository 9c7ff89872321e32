//! OAuth for apps, as the desktop app and others meet it.

mod consent;
mod registration;
mod tokens;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::world::{Answer, MASTER, World, bearer};

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://localhost:54321/";
const AUTHORIZE: &str = "/api/v1/oauth/authorize";
const CONSENT: &str = "/api/v1/oauth/authorize/consent";
const TOKEN: &str = "/api/v1/oauth/token";
const HOST: (&str, &str) = ("host", "localhost:8888");

fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(pairs);
    text.finish()
}

/// What the desktop app asks for, with changes.
fn asked<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("client_id", "pocketpaw-desktop"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "chat sessions"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "st8"),
    ];
    for (name, value) in changes {
        pairs.retain(|(known, _)| known != name);
        pairs.push((name, value));
    }
    pairs
}

/// As somebody with this credential, from a browser.
async fn ask(world: &World, pairs: &[(&str, &str)], credential: Option<&str>) -> Answer {
    let path = format!("{AUTHORIZE}?{}", encoded(pairs));
    let request = TestRequest::get().uri(&path).insert_header(HOST);
    world.send(with(request, credential)).await
}

fn with(request: TestRequest, credential: Option<&str>) -> TestRequest {
    match credential {
        Some(credential) => bearer(request, credential),
        None => request,
    }
}

async fn form(
    world: &World,
    path: &str,
    pairs: &[(&str, &str)],
    credential: Option<&str>,
) -> Answer {
    let request = TestRequest::post()
        .uri(path)
        .insert_header(HOST)
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(encoded(pairs));
    world.send(with(request, credential)).await
}

/// The token of the consent page.
fn consent_token(page: &Answer) -> String {
    let (_, rest) = page
        .text
        .split_once("name=\"consent_token\" value=\"")
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The parameters of the address that the browser is sent to.
fn sent(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 302, "{}", answer.text);
    let (_, query) = answer.header("location").split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn value(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.clone())
}

/// The operator agrees to what is asked; the code.
async fn agreed(world: &World, pairs: &[(&str, &str)]) -> String {
    let page = ask(world, pairs, Some(MASTER)).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let token = consent_token(&page);
    let mut pairs = pairs.to_vec();
    pairs.extend([("consent_token", token.as_str()), ("action", "allow")]);
    let answer = form(world, CONSENT, &pairs, Some(MASTER)).await;
    value(&sent(&answer), "code").unwrap()
}

async fn exchange(world: &World, body: Value) -> Answer {
    let request = TestRequest::post().uri(TOKEN).set_json(body);
    world.send(request).await
}

fn code_body(code: &str) -> Value {
    json!({
        "grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER,
        "client_id": "pocketpaw-desktop", "redirect_uri": REDIRECT
    })
}

/// Tokens with these scopes.
async fn tokens(world: &World, scope: &str) -> (String, String) {
    let code = agreed(world, &asked(&[("scope", scope)])).await;
    let made = exchange(world, code_body(&code)).await.expect(200);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}
