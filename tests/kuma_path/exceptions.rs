//! Features that some releases of Kuma lack and that the tests need, each with the reason.
//!
//! In: a [`Release`]. Out: whether it lacks the feature. A test then checks what such a release does instead, so an
//! exception that is no longer needed fails.

use zonegate_testkit::kuma::Release;

/// A feature that older releases lack.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// The test.
    pub(crate) test: &'static str,
    /// The first release with the feature, as `major` and `minor`.
    since: (u32, u32),
    /// The reason, for the matrix in `docs/kuma.md`.
    pub(crate) why: &'static str,
}

/// Kuma: `pkg/xds/auth/callbacks.go`, `stream was authenticated for ID`.
pub(crate) const DELTA: Exception = Exception {
    test: "whole_path::a_good_token_brings_a_zone_proxy_online",
    since: (2, 14),
    why: "Before 2.14 kuma-cp ends a delta stream at its second message, for Envoy names its node in the \
          first one only. It does so without a gateway too",
};

/// Kuma: `pkg/config/app/kuma-dp`, `ValidateTokenPath`.
pub(crate) const SIGNATURE_IN_KUMA_DP: Exception = Exception {
    test: "refused::kuma_dp_itself_refuses_a_malformed_token",
    since: (2, 14),
    why: "Before 2.14 kuma-dp does not look at the signature of its token; the gateway refuses what is no \
          base64url there",
};

/// Kuma: `pkg/core/tokens/validator.go`, `ErrTokenNotValidYet`.
pub(crate) const WORDS_OF_NOT_YET_VALID: Exception = Exception {
    test: "vectors::the_recorded_verdicts_are_the_control_planes",
    since: (2, 14),
    why: "Before 2.14 kuma-cp says `could not parse token` of one that is not valid yet",
};

/// Kuma: `pkg/core/resources/apis/mesh/dataplane_validator.go`, `validateNetworking`.
pub(crate) const ZONE_PROXY_OF_A_MESH: Exception = Exception {
    test: "dataplanes::zone_proxies::a_zone_proxy_of_a_mesh_is_a_dataplane",
    since: (2, 14),
    why: "Before 2.14 there are no zone proxies of a mesh: kuma-dp refuses such a resource itself",
};

pub(crate) const ALL: [&Exception; 4] =
    [&DELTA, &SIGNATURE_IN_KUMA_DP, &WORDS_OF_NOT_YET_VALID, &ZONE_PROXY_OF_A_MESH];

impl Exception {
    /// Whether the release lacks the feature.
    pub(crate) fn holds(&self, release: &Release) -> bool {
        let (major, minor) = self.since;
        release.is_before(major, minor)
    }
}
