//! Proof that who exchanges a code is who asked for it (RFC 7636, method `S256`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use majordomo_domain::CodeChallenge;
use subtle::ConstantTimeEq as _;

use crate::access::sha256;

/// Whether `challenge` was made of `verifier`: 43 to 128 characters of `A-Z a-z 0-9 - . _ ~`.
pub(super) fn proves(verifier: &str, challenge: &CodeChallenge) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(allowed) {
        return false;
    }
    let made = URL_SAFE_NO_PAD.encode(sha256(verifier));
    made.as_bytes().ct_eq(challenge.as_str().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b_is_proved() {
        let challenge =
            CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(proves(verifier, &challenge));
        assert!(!proves(
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK",
            &challenge
        ));
        assert!(!proves(challenge.as_str(), &challenge));
        assert!(!proves("", &challenge));
    }
}
