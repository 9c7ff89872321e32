//! What clients send along with a message. Some send texts, some objects; pictures among them are taken.

use majordomo_domain::{Image, ImageSource};
use majordomo_presentation_http::{ApiError, Location};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::wire::fault;

/// Pictures per message at most.
const MAX_IMAGES: usize = 16;
/// Names of media that are no pictures are cut to so many characters.
const MAX_NAME: usize = 100;
/// What files of pictures end with.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "bmp"];
/// How pictures begin, in base64: PNG, JPEG, GIF, WebP.
const BEGINNINGS: [(&str, &str); 4] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
];

/// One thing sent along.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum MediaItem {
    /// A `data:` address, an `http` address of a picture, or something else.
    Address(String),
    /// A thing with its kind.
    Object(MediaObject),
}

/// A thing with its kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct MediaObject {
    /// `image`, or something else.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Where it is: an `http` or `data:` address.
    url: Option<String>,
    /// Its bytes in base64, or a `data:` address.
    data: Option<String>,
    /// What the user calls it.
    #[serde(alias = "name")]
    filename: Option<String>,
    /// What it is: `image/png`.
    #[serde(alias = "mimeType", alias = "media_type")]
    mime_type: Option<String>,
}

/// The pictures of a message, and the names of everything else.
pub(crate) fn images(items: Vec<MediaItem>) -> Result<(Vec<Image>, Vec<String>), ApiError> {
    let (mut images, mut ignored) = (Vec::new(), Vec::new());
    for (place, item) in items.into_iter().enumerate() {
        let name = name_of(&item);
        match source(item) {
            Ok(Some(source)) => images.push(Image { source }),
            Ok(None) => ignored.push(name),
            Err(NotBase64) => {
                let words = "Input should be valid base64";
                let field = format!("media.{place}");
                return Err(fault(Location::Body, &field, "base64_decode", words));
            }
        }
    }
    if images.len() > MAX_IMAGES || ignored.len() > MAX_IMAGES {
        let words = format!("List should have at most {MAX_IMAGES} items");
        return Err(fault(Location::Body, "media", "too_long", words));
    }
    Ok((images, ignored))
}

/// The bytes of a picture are not written in base64.
struct NotBase64;

fn source(item: MediaItem) -> Result<Option<ImageSource>, NotBase64> {
    let object = match item {
        MediaItem::Address(address) => MediaObject {
            url: Some(address),
            ..MediaObject::default()
        },
        MediaItem::Object(object) => object,
    };
    let declared = object.mime_type.as_deref();
    let said_to_be_image = match declared {
        Some(mime_type) => mime_type.starts_with("image/"),
        None => object.kind.as_deref() == Some("image"),
    };
    if let Some(data) = object.data.or_else(|| {
        let url = object.url.as_ref()?;
        url.starts_with("data:").then(|| url.clone())
    }) {
        return inline(&data, declared, said_to_be_image);
    }
    Ok(object
        .url
        .filter(|url| is_http(url) && (said_to_be_image || names_picture(url)))
        .map(ImageSource::Url))
}

/// A picture whose bytes are there.
fn inline(
    data: &str,
    declared: Option<&str>,
    said_to_be_image: bool,
) -> Result<Option<ImageSource>, NotBase64> {
    let (media_type, bytes) = match data.strip_prefix("data:") {
        Some(rest) => match rest.split_once(";base64,") {
            Some((media_type, bytes)) => (Some(media_type), bytes),
            None => return Ok(None),
        },
        None => (declared, data),
    };
    let known = || {
        let known = BEGINNINGS
            .iter()
            .find(|(begin, _)| bytes.starts_with(begin));
        known.map(|(_, media_type)| *media_type)
    };
    let media_type = match media_type {
        Some(media_type) if media_type.starts_with("image/") => media_type,
        Some(_) => return Ok(None),
        None if said_to_be_image => known().unwrap_or("image/png"),
        None => match known() {
            Some(media_type) => media_type,
            None => return Ok(None),
        },
    };
    if !is_base64(bytes) {
        return Err(NotBase64);
    }
    Ok(Some(ImageSource::Base64 {
        media_type: media_type.to_owned(),
        data: bytes.to_owned(),
    }))
}

/// Whether `text` is base64 in the standard alphabet, padded.
fn is_base64(text: &str) -> bool {
    let plain = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !plain.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - plain.len() <= 2
        && plain.bytes().all(allowed)
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Whether an address ends like a picture's, or tells nothing of what is there.
fn names_picture(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    match file.rsplit_once('.') {
        Some((_, extension)) => EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known)),
        None => true,
    }
}

fn name_of(item: &MediaItem) -> String {
    let name = match item {
        MediaItem::Address(address) => address.as_str(),
        MediaItem::Object(object) => [&object.filename, &object.url, &object.kind]
            .into_iter()
            .flatten()
            .next()
            .map_or("unnamed", String::as_str),
    };
    let name = if name.starts_with("data:") {
        "data"
    } else {
        name
    };
    name.chars().take(MAX_NAME).collect()
}
