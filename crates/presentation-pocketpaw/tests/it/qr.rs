//! `/qr`: pairing a device.

use std::io::Cursor;

use actix_web::test::{self, TestRequest};
use qrcode::{Color, QrCode};
use serde_json::json;

use crate::world::{MASTER, World, bearer};

/// The fixed clock's time, and a minute.
const EXPIRY: u64 = 1_770_000_060;

/// The image that `path` answers with the master token: whether each module is dark, by rows, and the modules of a row.
async fn scan(world: &World, path: &str) -> (Vec<bool>, usize) {
    let app = world.app().await;
    let request = bearer(TestRequest::get().uri(path), MASTER);
    let request = request.insert_header(("host", "agent.example.org"));
    let answer = test::call_service(&app, request.to_request()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("content-type").unwrap(), "image/png");
    assert_eq!(answer.headers().get("cache-control").unwrap(), "no-store");
    let image = test::read_body(answer).await;
    let decoder = png::Decoder::new(Cursor::new(image));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let (side, scale, quiet) = (frame.width as usize, 8, 4);
    assert_eq!(frame.width, frame.height);
    let width = side / scale - 2 * quiet;
    let at = |x: usize, y: usize| {
        let pixel = |module: usize| (module + quiet) * scale + scale / 2;
        pixels[pixel(y) * side + pixel(x)] == 0
    };
    let modules = (0..width).flat_map(|y| (0..width).map(move |x| (x, y)));
    (modules.map(|(x, y)| at(x, y)).collect(), width)
}

/// The pairing token that the image holds: secrets are counted in tests, so there are few it can be.
async fn pairing_token(world: &World, path: &str) -> String {
    let (modules, width) = scan(world, path).await;
    let found = (0..20_u64)
        .map(|n| format!("{EXPIRY}:{n:064x}"))
        .find(|token| {
            let url = format!("http://agent.example.org/?token={token}");
            let code = QrCode::new(url).unwrap();
            let dark: Vec<bool> = code
                .to_colors()
                .iter()
                .map(|one| *one == Color::Dark)
                .collect();
            code.width() == width && dark == modules
        });
    found.unwrap_or_else(|| panic!("the image is no such code"))
}

#[actix_web::test]
async fn a_code_logs_one_device_in_once() {
    let world = World::playing([]).await;
    for (code, login) in [
        ("/api/v1/qr", "/api/v1/auth/login"),
        ("/api/qr", "/api/auth/login"),
    ] {
        let token = pairing_token(&world, code).await;
        let log_in = || {
            let request = TestRequest::post().uri(login);
            world.send(request.set_json(json!({ "token": token })))
        };
        let answer = log_in().await;
        let cookie = answer.header("set-cookie").to_owned();
        answer.expect(200);
        let (pair, _) = cookie.split_once(';').unwrap();
        assert!(!pair.contains(&token));
        let request = TestRequest::get().uri("/api/v1/sessions");
        world
            .send(request.insert_header(("cookie", pair)))
            .await
            .expect(200);
        log_in().await.expect(401);
    }
}

#[actix_web::test]
async fn a_code_works_in_an_address_too_and_for_a_minute() {
    let world = World::playing([]).await;
    let token = pairing_token(&world, "/api/v1/qr").await;
    let open = || TestRequest::get().uri(&format!("/api/v1/sessions?token={token}"));
    let opened = world.send(open()).await;
    assert!(
        opened
            .header("set-cookie")
            .starts_with("pocketpaw_session=")
    );
    opened.expect(200);
    world.send(open()).await.expect(401);
    let late = pairing_token(&world, "/api/v1/qr").await;
    world.clock.advance(std::time::Duration::from_mins(1));
    let request = TestRequest::get().uri(&format!("/api/v1/sessions?token={late}"));
    world.send(request).await.expect(401);
}

#[actix_web::test]
async fn keys_and_strangers_have_no_code() {
    let world = World::playing([]).await;
    let key = world.key(&["admin"]).await;
    for path in ["/api/v1/qr", "/api/qr"] {
        let none = world.send(TestRequest::get().uri(path)).await;
        assert_eq!(none.expect(401), json!({ "detail": "Unauthorized" }));
        let by_key = world
            .send(bearer(TestRequest::get().uri(path), &key).insert_header(("host", "localhost")))
            .await;
        assert_eq!(by_key.status, 403);
    }
}
