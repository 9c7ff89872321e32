//! Reading what an API key is to be.

use majordomo_domain::{AddressRange, KeyLimits, Scope, Scopes};

use super::error::AccessError;
use super::keys::CreateApiKey;
use crate::error::FieldError;

/// Longest name, in characters.
const MAX_NAME: usize = 100;
/// Ranges of addresses of a key at most.
const MAX_ADDRESSES: usize = 32;
/// Models of a key at most.
const MAX_MODELS: usize = 64;
/// Longest name of a model, in characters.
const MAX_MODEL: usize = 200;

pub(super) fn invalid(field: &str, error: impl Into<String>) -> AccessError {
    AccessError::Invalid(FieldError::new(field, error))
}

pub(super) fn parse_name(name: &str) -> Result<String, AccessError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(invalid("name", "must have 1 to 100 characters"));
    }
    Ok(name.to_owned())
}

pub(super) fn parse_scopes(names: &[String]) -> Result<Scopes, AccessError> {
    let unknown: Vec<String> = names
        .iter()
        .filter(|name| Scope::parse(name).is_none())
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(AccessError::UnknownScopes(unknown));
    }
    if names.is_empty() {
        return Err(invalid("scopes", "must name at least one scope"));
    }
    Ok(names.iter().filter_map(|name| Scope::parse(name)).collect())
}

/// The limits of a key to make.
pub(super) fn parse_limits(request: &CreateApiKey) -> Result<KeyLimits, AccessError> {
    if request.allowed_addresses.len() > MAX_ADDRESSES {
        return Err(invalid("allowed_addresses", "must not have more than 32"));
    }
    let addresses: Result<Vec<AddressRange>, _> = request
        .allowed_addresses
        .iter()
        .map(|text| text.trim().parse())
        .collect();
    let addresses = addresses.map_err(|error| invalid("allowed_addresses", error.to_string()))?;
    if request.allowed_models.len() > MAX_MODELS {
        return Err(invalid("allowed_models", "must not have more than 64"));
    }
    let is_model = |name: &String| {
        !name.trim().is_empty()
            && name.chars().count() <= MAX_MODEL
            && !name.chars().any(char::is_control)
    };
    if !request.allowed_models.iter().all(is_model) {
        return Err(invalid(
            "allowed_models",
            "must be names of 1 to 200 characters",
        ));
    }
    Ok(KeyLimits {
        addresses,
        models: request
            .allowed_models
            .iter()
            .map(|model| model.trim().to_owned())
            .collect(),
        requests_per_minute: request.requests_per_minute,
    })
}
