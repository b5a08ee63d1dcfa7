//! The argument TOKEN: the token itself, a file that holds it, or `-` for standard input.
//!
//! In: the argument. Out: the text of the token, without the white space around it, which kuma-dp also removes. Whether
//! it is a token is not checked, except that an argument that is not a file must look like a token.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::bail;
use clap::Args;
use zeroize::Zeroizing;

use super::failure::BadInput;
use super::input;
use super::pasted::Pasted;

/// The longest text: twice the greatest `maxTokenBytes`.
const MAX_BYTES: usize = 128 * 1024;

#[derive(Args)]
pub(super) struct TokenText {
    /// The token, a file that holds it, or - for standard input
    token: OsString,
}

impl TokenText {
    /// The text of this argument.
    pub(super) fn of(token: OsString) -> Self {
        Self { token }
    }

    /// Reads the text.
    pub(super) fn read(&self) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let path = Path::new(&self.token);
        if self.token.is_empty() {
            bail!(BadInput("TOKEN is empty: is a variable unset?".to_owned()));
        }
        let text = match self.token.to_str() {
            Some(text) if text != "-" && fs::symlink_metadata(path).is_err() => {
                if !is_like_a_token(text) {
                    bail!(BadInput(format!(
                        "{text}: no file of this name, and no token either: a token is three parts \
                         with dots between them"
                    )));
                }
                Zeroizing::new(text.as_bytes().to_vec())
            }
            _ => input::secret(path, MAX_BYTES, "token")?,
        };
        let trimmed = Zeroizing::new(text.trim_ascii().to_vec());
        match trimmed.is_empty() {
            true => bail!(BadInput(format!("{}: there is no token in it", self.name()))),
            false => Ok(trimmed),
        }
    }

    /// The source of the token, for errors.
    pub(super) fn name(&self) -> String {
        let path = Path::new(&self.token);
        match fs::symlink_metadata(path) {
            Ok(_) => path.display().to_string(),
            Err(_) if path == Path::new("-") => input::name(path),
            Err(_) => "the token".to_owned(),
        }
    }
}

/// Whether the text may be a token: every JWT begins with `ey`, which is `{"` in base64url.
fn is_like_a_token(text: &str) -> bool {
    let dots = text.bytes().filter(|byte| *byte == b'.').count();
    let pasted = Pasted::read(text.as_bytes());
    text.starts_with("ey") || pasted.fault().is_some() || (dots == 2 && !text.contains('/'))
}
