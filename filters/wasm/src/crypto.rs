//! Whose arithmetic verifies signatures in this VM, and what it remembers of verified tokens.
//!
//! In: the VM configuration, once, when the VM starts. Out: a [`Verification`] for every policy of the
//! VM. How a signature is verified is in [`zonegate::token`].

use std::cell::RefCell;
use std::rc::Rc;

use jsonwebtoken::crypto::CryptoProvider;
use proxy_wasm::hostcalls;
use zonegate::token::{Arithmetic, Host, Verification, VerifiedTokens, host_provider};

static ENVOY: CryptoProvider = host_provider::<Envoy>();

thread_local! {
    static CHOSEN: RefCell<Chosen> = RefCell::default();
}

struct Chosen {
    arithmetic: Arithmetic,
    verified: Rc<VerifiedTokens>,
}

/// Until the VM has started.
impl Default for Chosen {
    fn default() -> Self {
        Self { arithmetic: Arithmetic::Crate, verified: Rc::default() }
    }
}

struct Envoy;

impl Host for Envoy {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        hostcalls::call_foreign_function("verify_signature", Some(arguments)).ok().flatten()
    }
}

/// Chooses, for as long as the VM lives: by the text of the VM configuration, which is empty or
/// `crypto=crate`.
///
/// # Errors
/// Any other text.
pub(super) fn choose(vm_configuration: &[u8]) -> Result<(), &'static str> {
    let arithmetic = match vm_configuration.trim_ascii() {
        b"" => Arithmetic::choose(&ENVOY),
        b"crypto=crate" => Arithmetic::Crate,
        _ => return Err("the only text it may have is crypto=crate"),
    };
    CHOSEN.with_borrow_mut(|chosen| chosen.arithmetic = arithmetic);
    Ok(())
}

/// What was chosen.
pub(super) fn arithmetic() -> Arithmetic {
    CHOSEN.with_borrow(|chosen| chosen.arithmetic)
}

/// How the policies of this VM verify tokens.
pub(super) fn verification() -> Verification {
    CHOSEN.with_borrow(|chosen| Verification {
        provider: chosen.arithmetic.provider(&ENVOY),
        verified: Some(Rc::clone(&chosen.verified)),
    })
}
