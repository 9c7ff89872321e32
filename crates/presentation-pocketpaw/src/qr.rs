//! Pairing a device: a QR code that logs it in.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::Data;
use majordomo_presentation_http::openapi::{Media, Png};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, RequestContext, Services};
use paperclip::actix::api_v2_operation;
use qrcode::{Color, QrCode};

use crate::fails::Fails;
use crate::oauth::issuer;

/// An image.
type PairingCode = Fails<Media<Png>, 400>;

/// Pixels of a module of the code.
const SCALE: usize = 8;
/// Modules without a mark around the code: what scanners need (ISO/IEC 18004).
const QUIET: usize = 4;

/// An image of `text` as QR code, black on white.
fn image(text: &str) -> Result<Vec<u8>, ApiError> {
    let code = QrCode::new(text).map_err(|error| ApiError::internal(&error))?;
    let width = code.width();
    let side = (width + 2 * QUIET) * SCALE;
    let colors = code.to_colors();
    let shade = |x: usize, y: usize| {
        let module = |pixel: usize| (pixel / SCALE).checked_sub(QUIET).filter(|at| *at < width);
        let place = module(x).zip(module(y)).map(|(x, y)| y * width + x);
        match place.and_then(|place| colors.get(place)) {
            Some(Color::Dark) => 0,
            Some(Color::Light) | None => u8::MAX,
        }
    };
    let pixels: Vec<u8> = (0..side)
        .flat_map(|y| (0..side).map(move |x| (x, y)))
        .map(|(x, y)| shade(x, y))
        .collect();
    encode(side, &pixels).map_err(|error| ApiError::internal(&error))
}

/// A square greyscale image as PNG.
fn encode(side: usize, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

async fn pair(
    kernel: &Kernel,
    services: &Services,
    context: RequestContext,
    request: &HttpRequest,
    Authenticated(caller): Authenticated,
) -> Result<PairingCode, ApiError> {
    let address = issuer(&services.oauth, kernel, context, request)?;
    let access = Arc::clone(&services.access);
    let token = kernel
        .core()
        .run(async move { access.pair(&caller).await })
        .await?;
    let image = image(&format!("{address}/?token={}", token.secret))?;
    // Whoever sees the image may log in.
    let image = Media::new(image).with_header((header::CACHE_CONTROL, "no-store"));
    Ok(Fails(image))
}

/// GET /api/v1/qr: a QR code that logs one device in as the caller, once, within a minute
#[api_v2_operation(tags(Auth), operation_id = "pairing_code")]
pub(crate) async fn pairing_code(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    caller: Authenticated,
) -> Result<PairingCode, ApiError> {
    pair(&kernel, &services, context, &request, caller).await
}

/// GET /api/qr: a QR code that logs one device in as the caller, once, within a minute
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_pairing_code")]
pub(crate) async fn dashboard_pairing_code(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    caller: Authenticated,
) -> Result<PairingCode, ApiError> {
    pair(&kernel, &services, context, &request, caller).await
}
