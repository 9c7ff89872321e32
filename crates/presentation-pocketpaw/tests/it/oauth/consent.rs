//! Asking the user.

use actix_web::test::TestRequest;
use serde_json::json;

use super::{
    AUTHORIZE, CHALLENGE, CONSENT, HOST, REDIRECT, ask, asked, consent_token, form, sent, value,
};
use crate::world::{BOB, MASTER, World, bearer};

#[actix_web::test]
async fn the_page_asks_and_can_be_trusted() {
    let world = World::playing([]).await;
    let page = ask(&world, &asked(&[]), Some(MASTER)).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for part in [
        "PocketPaw Desktop",
        "<code>chat</code>",
        "http://localhost:54321",
        "st8",
    ] {
        assert!(page.text.contains(part), "{part}");
    }
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "form-action 'self' http://localhost:54321;",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert!(page.header("cache-control").contains("no-store"));
}

#[actix_web::test]
async fn what_comes_from_outside_is_escaped() {
    let world = World::playing([]).await;
    let hostile = "\"><script>alert(1)</script>'";
    for credential in [Some(MASTER), Some("wrong")] {
        let page = ask(&world, &asked(&[("state", hostile)]), credential).await;
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(!page.text.contains("<script"), "{}", page.text);
        assert!(page.text.contains("&quot;&gt;&lt;script&gt;"));
    }
}

#[actix_web::test]
async fn nothing_is_sent_to_unknown_places() {
    let world = World::playing([]).await;
    for change in [
        ("client_id", "evil"),
        ("redirect_uri", "https://evil.example/cb"),
        ("redirect_uri", "http://localhost:1@evil.example/"),
        ("redirect_uri", "http://localhost:54321/other"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let pairs = asked(&[change]);
        let refused = ask(&world, &pairs, Some(MASTER)).await;
        assert_eq!(refused.header("location"), "");
        assert_eq!(
            refused.expect(400),
            json!({ "detail": "Invalid authorization request" })
        );
        for action in ["allow", "deny"] {
            let mut pairs = pairs.clone();
            pairs.push(("action", action));
            let refused = form(&world, CONSENT, &pairs, Some(MASTER)).await;
            assert_eq!(refused.status, 400);
            assert_eq!(refused.header("location"), "");
        }
    }
}

#[actix_web::test]
async fn every_missing_parameter_is_named() {
    let world = World::playing([]).await;
    let answer = world
        .get(&format!("{AUTHORIZE}?client_id=pocketpaw-desktop"))
        .await
        .expect(422);
    assert_eq!(answer["detail"][0]["loc"], json!(["query", "redirect_uri"]));
    assert_eq!(
        answer["detail"][1]["loc"],
        json!(["query", "code_challenge"])
    );
    assert_eq!(answer["detail"][1]["type"], "missing");
}

#[actix_web::test]
async fn the_app_is_told_what_is_wrong_with_its_request() {
    let world = World::playing([]).await;
    for (change, error) in [
        (("scope", "root"), "invalid_scope"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
    ] {
        let answer = sent(&ask(&world, &asked(&[change]), Some(MASTER)).await);
        assert_eq!(value(&answer, "error").as_deref(), Some(error));
        assert_eq!(value(&answer, "state").as_deref(), Some("st8"));
        let issuer = value(&answer, "iss");
        assert_eq!(issuer.as_deref(), Some("http://localhost:8888"));
    }
}

#[actix_web::test]
async fn the_answer_carries_code_state_and_issuer() {
    let world = World::playing([]).await;
    let page = ask(&world, &asked(&[]), Some(MASTER)).await;
    let token = consent_token(&page);
    let mut pairs = asked(&[]);
    pairs.extend([("consent_token", token.as_str()), ("action", "allow")]);
    let answer = form(&world, CONSENT, &pairs, Some(MASTER)).await;
    assert!(answer.header("location").starts_with(REDIRECT));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let answer = sent(&answer);
    assert_eq!(value(&answer, "code").unwrap().len(), 43);
    assert_eq!(value(&answer, "state").as_deref(), Some("st8"));
    assert_eq!(
        value(&answer, "iss").as_deref(),
        Some("http://localhost:8888")
    );
    pairs.retain(|(name, _)| *name != "action");
    pairs.push(("action", "deny"));
    let answer = sent(&form(&world, CONSENT, &pairs, Some(MASTER)).await);
    assert_eq!(value(&answer, "error").as_deref(), Some("access_denied"));
    assert_eq!(value(&answer, "code"), None);
}

#[actix_web::test]
async fn an_answer_without_the_pages_token_counts_for_nothing() {
    let world = World::playing([]).await;
    let page = ask(&world, &asked(&[]), Some(MASTER)).await;
    let token = consent_token(&page);
    for (token, changes) in [
        ("", vec![]),
        ("9999999999.00", vec![]),
        (token.as_str(), vec![("scope", "admin")]),
        (
            token.as_str(),
            vec![("redirect_uri", "http://localhost:1/")],
        ),
    ] {
        for action in ["allow", "deny"] {
            let mut pairs = asked(&changes);
            pairs.extend([("consent_token", token), ("action", action)]);
            let refused = form(&world, CONSENT, &pairs, Some(MASTER)).await;
            assert_eq!(refused.status, 403);
            assert_eq!(refused.header("location"), "");
        }
    }
}

#[actix_web::test]
async fn keys_and_strangers_cannot_agree() {
    let world = World::playing([]).await;
    let page = ask(&world, &asked(&[]), Some(MASTER)).await;
    let token = consent_token(&page);
    let key = world.key(&["admin"]).await;
    let mut pairs = asked(&[]);
    pairs.extend([("consent_token", token.as_str()), ("action", "allow")]);
    for (credential, status) in [(key.as_str(), 403), (BOB, 403), ("wrong", 401)] {
        let page = ask(&world, &asked(&[]), Some(credential)).await;
        assert_eq!(page.status, status);
        assert!(!page.text.contains("consent_token"));
        let refused = form(&world, CONSENT, &pairs, Some(credential)).await;
        assert_eq!(refused.status, status);
        assert_eq!(refused.header("location"), "");
    }
    // A proxied request without a credential: the way in that other servers left open.
    let proxied = TestRequest::post()
        .uri(CONSENT)
        .insert_header(HOST)
        .insert_header(("x-forwarded-for", "1.2.3.4"))
        .set_form(
            pairs
                .iter()
                .copied()
                .collect::<std::collections::BTreeMap<_, _>>(),
        );
    let refused = world.send(proxied).await;
    assert_eq!(refused.status, 401);
    assert!(refused.text.contains("Sign in"));
}

#[actix_web::test]
async fn signing_in_leads_back_to_the_question() {
    let world = World::playing([]).await;
    let sign_in = "/api/v1/oauth/authorize/sign-in";
    let mut pairs = asked(&[]);
    pairs.push(("token", "wrong"));
    let again = form(&world, sign_in, &pairs, None).await;
    assert_eq!(again.status, 401);
    assert_eq!(again.header("set-cookie"), "");
    let mut pairs = asked(&[]);
    pairs.push(("token", MASTER));
    let answer = form(&world, sign_in, &pairs, None).await;
    assert_eq!(answer.status, 303);
    let location = answer.header("location");
    assert!(location.starts_with("../authorize?"), "{location}");
    assert!(location.contains(CHALLENGE));
    let cookies = answer.headers.get_all("set-cookie");
    let cookies: Vec<_> = cookies.map(|value| value.to_str().unwrap()).collect();
    assert!(
        cookies
            .iter()
            .any(|one| one.starts_with("pocketpaw_session=")
                && one.contains("HttpOnly")
                && !one.contains("pocketpaw_session=;"))
    );
    let key = world.key(&["admin"]).await;
    let mut pairs = asked(&[]);
    pairs.push(("token", &key));
    assert_eq!(form(&world, sign_in, &pairs, None).await.status, 401);
    let foreign = TestRequest::post()
        .uri(sign_in)
        .insert_header(HOST)
        .insert_header(("origin", "https://evil.example"))
        .set_form(
            [("token", MASTER)]
                .into_iter()
                .chain(asked(&[]))
                .collect::<std::collections::BTreeMap<_, _>>(),
        );
    assert_eq!(world.send(foreign).await.status, 403);
}

#[actix_web::test]
async fn connecting_other_services_answers_as_it_always_did() {
    let world = World::playing([]).await;
    for (query, words) in [
        (
            "",
            "Google OAuth Client ID not configured. Set it in Settings first.",
        ),
        (
            "?service=spotify",
            "Spotify Client ID not configured. Set it in Settings first.",
        ),
        ("?service=bogus", "Unknown service: bogus"),
    ] {
        let answer = world.get(&format!("/api/oauth/authorize{query}")).await;
        assert_eq!(answer.expect(400), json!({ "detail": words }));
    }
    let request = || TestRequest::get().uri("/api/oauth/authorize");
    world.send(bearer(request(), "wrong")).await.expect(401);
    let key = world.key(&["chat"]).await;
    world.send(bearer(request(), &key)).await.expect(403);
    let page = world.get("/oauth/callback?error=%3Cscript%3E").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("OAuth Error") && page.text.contains("&lt;script&gt;"));
    let page = world.get("/oauth/callback").await;
    assert!(page.text.contains("Missing authorization code"));
}
