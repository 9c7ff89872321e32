//! Who uses the server: added, listed, given another role or password, disabled.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Data;
use majordomo_application::access::{AddUser, UserError};
use majordomo_domain::{USERNAME_LEN, User, UserId, UserRole};
use majordomo_presentation_http::auth::replace_login;
use majordomo_presentation_http::openapi::{Body, PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api_keys::StatusResponse;
use crate::fails::Fails;
use crate::wire::{fault, wire_time};

/// A user to add.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AddUserRequest {
    /// What they sign in with.
    #[schemars(with = "UsernameText")]
    username: String,
    /// What they may do at most.
    #[serde(default = "member")]
    #[schemars(with = "RoleName")]
    role: String,
    /// What they sign in with; missing for a service, which has keys only.
    #[schemars(length(min = 6, max = 1024))]
    password: Option<String>,
}

/// Another role.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct UserRoleRequest {
    /// What they may do at most.
    #[schemars(with = "RoleName")]
    role: String,
}

/// Whether a user's credentials open anything.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct UserEnabledRequest {
    /// Whether they do.
    enabled: bool,
}

/// Another password.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UserPasswordRequest {
    /// What the user signs in with from now on.
    #[schemars(length(min = 6, max = 1024))]
    password: String,
}

/// Another password of the caller's own. Has no `Debug`, so that no log shows it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct OwnPasswordRequest {
    /// What the caller signs in with now.
    #[schemars(length(max = 1024))]
    current_password: String,
    /// What the caller signs in with from now on.
    #[schemars(length(min = 6, max = 1024))]
    password: String,
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserResponse {
    /// Names the user.
    id: String,
    /// What they sign in with.
    username: String,
    /// What they may do at most: `owner`, `admin`, `member`, `viewer` or `service`.
    role: &'static str,
    /// Whether their credentials open anything.
    enabled: bool,
    /// When they were added.
    created_at: String,
    /// When they last signed in with their password.
    last_login_at: Option<String>,
}

/// A username, for the document.
struct UsernameText;

impl JsonSchema for UsernameText {
    fn schema_name() -> Cow<'static, str> {
        "Username".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[A-Za-z0-9._@+-]+$",
            "minLength": USERNAME_LEN.start(), "maxLength": USERNAME_LEN.end()
        })
    }
}

/// A role's name, for the document.
struct RoleName;

impl JsonSchema for RoleName {
    fn schema_name() -> Cow<'static, str> {
        "UserRole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": UserRole::ALL.map(UserRole::as_str) })
    }
}

fn member() -> String {
    UserRole::Member.as_str().to_owned()
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self {
            id: user.id.into_string(),
            username: user.username.to_string(),
            role: user.role.as_str(),
            enabled: user.enabled,
            created_at: wire_time(user.created_at),
            last_login_at: user.last_login_at.map(wire_time),
        }
    }
}

fn role(name: &str) -> Result<UserRole, ApiError> {
    UserRole::parse(name).ok_or_else(|| {
        let words = "Input should be owner, admin, member, viewer or service";
        fault(Location::Body, "role", "enum", words)
    })
}

/// An id that cannot be one names nobody.
fn user_id(text: &str) -> Result<UserId, UserError> {
    UserId::parse(text).map_err(|_| UserError::NotFound)
}

/// GET /api/v1/users: everybody, the oldest first
#[api_v2_operation(tags(Users), operation_id = "list_users")]
pub(crate) async fn list_users(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<Vec<UserResponse>>, ApiError> {
    let users = Arc::clone(&services.users);
    let listed = kernel
        .core()
        .run(async move { users.list(&caller).await })
        .await?;
    Ok(Reply(listed.into_iter().map(UserResponse::from).collect()))
}

/// POST /api/v1/users: adds a user
#[api_v2_operation(tags(Users), operation_id = "add_user")]
pub(crate) async fn add_user(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<AddUserRequest>,
) -> Result<Fails<Reply<UserResponse>, 409>, ApiError> {
    let request = AddUser {
        role: role(&body.0.role)?,
        username: body.0.username,
        password: body.0.password,
    };
    let users = Arc::clone(&services.users);
    let added = kernel
        .core()
        .run(async move { users.add(&caller, request).await })
        .await?;
    Ok(Fails(Reply(added.into())))
}

/// PUT /api/v1/users/{id}/enabled: lets a user's credentials work again, or no longer
///
/// Tokens and cookies end at once; keys and apps rest until the user is enabled again.
#[api_v2_operation(tags(Users), operation_id = "set_user_enabled")]
pub(crate) async fn set_user_enabled(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    body: Body<UserEnabledRequest>,
) -> Result<Reply<StatusResponse>, ApiError> {
    let users = Arc::clone(&services.users);
    let enabled = body.0.enabled;
    kernel
        .core()
        .run(async move { users.set_enabled(&caller, &user_id(&id.0)?, enabled).await })
        .await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}

/// PUT /api/v1/users/{id}/password: gives a user another password; their tokens and cookies end at once
#[api_v2_operation(tags(Users), operation_id = "set_user_password")]
pub(crate) async fn set_user_password(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    body: Body<UserPasswordRequest>,
) -> Result<Reply<StatusResponse>, ApiError> {
    let users = Arc::clone(&services.users);
    let password = body.0.password;
    kernel
        .core()
        .run(async move {
            users
                .set_password(&caller, &user_id(&id.0)?, password)
                .await
        })
        .await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}

/// PUT /api/v1/users/me/password: gives the caller another password
///
/// Their tokens and cookies end at once. A caller who has signed in gets another token in the header `X-Refreshed-Token`,
/// or as a cookie. Keys and apps change no password.
#[api_v2_operation(tags(Users), operation_id = "change_own_password")]
pub(crate) async fn change_own_password(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    request: HttpRequest,
    body: Body<OwnPasswordRequest>,
) -> Result<Fails<Reply<StatusResponse>, 404>, ApiError> {
    let users = Arc::clone(&services.users);
    let OwnPasswordRequest {
        current_password,
        password,
    } = body.0;
    let issued = kernel
        .core()
        .run(async move {
            users
                .change_password(&caller, current_password, password)
                .await
        })
        .await?;
    if let Some(issued) = issued {
        replace_login(&request, issued);
    }
    Ok(Fails(Reply(StatusResponse { status: "ok" })))
}

/// PUT /api/v1/users/{id}/role: gives a user another role; their tokens and cookies end at once
#[api_v2_operation(tags(Users), operation_id = "set_user_role")]
pub(crate) async fn set_user_role(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    body: Body<UserRoleRequest>,
) -> Result<Reply<StatusResponse>, ApiError> {
    let role = role(&body.0.role)?;
    let users = Arc::clone(&services.users);
    kernel
        .core()
        .run(async move { users.set_role(&caller, &user_id(&id.0)?, role).await })
        .await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}
