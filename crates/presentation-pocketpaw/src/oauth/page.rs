//! The pages that users see when an app asks for access. Every value from outside is escaped, scripts never run, and no
//! other site can frame a page or receive its forms.

use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use majordomo_application::access::sha256;
use majordomo_application::oauth::{AuthorizeRequest, AuthorizeTarget, ConsentQuestion};
use majordomo_domain::{RedirectUri, Scope, UserId};
use majordomo_presentation_http::ApiError;

const STYLE: &str = include_str!("page/style.css");

/// The style's digest: the only one that browsers may use.
static STYLE_DIGEST: LazyLock<String> = LazyLock::new(|| STANDARD.encode(sha256(STYLE)));

/// What a user is asked.
pub(super) fn consent(
    user: &UserId,
    target: &AuthorizeTarget,
    asked: &AuthorizeRequest,
    question: &ConsentQuestion,
) -> Result<HttpResponse, ApiError> {
    let client = escape(&target.client.name);
    let scopes = question
        .scopes
        .iter()
        .fold(String::new(), |mut list, scope| {
            // Writing to a String cannot fail.
            let _ = writeln!(list, "<li>{} (<code>{scope}</code>)</li>", meaning(scope));
            list
        });
    let content = format!(
        include_str!("page/consent.html"),
        client = client,
        user = escape(user.as_str()),
        scopes = scopes.trim_end(),
        warnings = warnings(target, question),
        destination = escape(destination(&target.redirect_uri)),
        fields = fields(asked),
        token = escape(&question.token),
    );
    let title = format!("Let {client} in?");
    respond(StatusCode::OK, &title, &content, Some(&target.redirect_uri))
}

/// Where a user signs in first. `action` is the form's address, relative to the page.
pub(super) fn sign_in(
    target: &AuthorizeTarget,
    asked: &AuthorizeRequest,
    action: &str,
    message: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    let message = message.map(warning).unwrap_or_default();
    let content = format!(
        include_str!("page/sign_in.html"),
        client = escape(&target.client.name),
        message = message,
        action = action,
        fields = fields(asked),
    );
    let mut page = respond(StatusCode::UNAUTHORIZED, "Sign in", &content, None)?;
    let challenge = HeaderValue::from_static("Bearer");
    page.headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    Ok(page)
}

/// Why it does not go on.
pub(super) fn refusal(words: &str) -> Result<HttpResponse, ApiError> {
    message(StatusCode::FORBIDDEN, "Not possible", words)
}

/// A few words.
pub(super) fn message(
    status: StatusCode,
    title: &'static str,
    words: &str,
) -> Result<HttpResponse, ApiError> {
    respond(status, title, &warning(words), None)
}

fn warning(words: &str) -> String {
    format!("<p class=\"warning\">{}</p>", escape(words))
}

fn warnings(target: &AuthorizeTarget, question: &ConsentQuestion) -> String {
    let mut warnings = String::new();
    if target.client.registered_at.is_some() {
        warnings += &warning(
            "This app has registered itself: nobody has checked that its name is really its own.",
        );
    }
    if question.scopes.allows(Scope::Admin) {
        warnings += &warning("It asks for everything, the administration of this server included.");
    }
    warnings
}

/// What a user recognises a redirect's end by: the site, or the scheme that opens an app.
fn destination(uri: &RedirectUri) -> &str {
    uri.origin().unwrap_or_else(|| uri.scheme())
}

const fn meaning(scope: Scope) -> &'static str {
    match scope {
        Scope::Chat => "talk to the agent and to models",
        Scope::Sessions => "read and change your conversations",
        Scope::SettingsRead => "read settings",
        Scope::SettingsWrite => "change settings",
        Scope::Channels => "configure messaging channels",
        Scope::Memory => "read and change memories",
        Scope::Admin => "do everything you may do",
        Scope::Kits => "install and read kits",
        Scope::FilesRead => "read files",
        Scope::FilesWrite => "change files",
        Scope::Metrics => "read usage and metrics",
        Scope::Skills => "install and run skills",
        Scope::Automation => "use reminders, intentions and webhooks",
    }
}

/// The request's parameters, for the form to send again.
fn fields(asked: &AuthorizeRequest) -> String {
    super::authorize::parameters(asked)
        .into_iter()
        .fold(String::new(), |mut fields, (name, value)| {
            // Writing to a String cannot fail.
            let _ = writeln!(
                fields,
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escape(value)
            );
            fields
        })
        .trim_end()
        .to_owned()
}

/// A whole page. Its forms may send their answers here and, by redirection, to `redirect`. `title` and `content` must
/// be escaped.
fn respond(
    status: StatusCode,
    title: &str,
    content: &str,
    redirect: Option<&RedirectUri>,
) -> Result<HttpResponse, ApiError> {
    let html = format!(
        include_str!("page/frame.html"),
        title = title,
        style = STYLE,
        content = content,
    );
    let style = STYLE_DIGEST.as_str();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{}; base-uri 'none'; \
         frame-ancestors 'none'",
        redirect.map(form_target).unwrap_or_default()
    );
    let policy = HeaderValue::from_str(&policy).map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")))
        // Not `no-referrer`: browsers would send the forms with `Origin: null`.
        .insert_header((
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ))
        .content_type("text/html; charset=utf-8")
        .body(html))
}

/// The redirect's end as a source of a content security policy, which browsers hold redirections of forms to.
fn form_target(uri: &RedirectUri) -> String {
    match uri.origin() {
        // Policies have no form for IPv6 addresses.
        Some(origin) if origin.contains('[') => format!(" {}:", uri.scheme()),
        Some(origin) => format!(" {origin}"),
        None => format!(" {}:", uri.scheme()),
    }
}

/// Text as it may stand in HTML, in attributes too.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
