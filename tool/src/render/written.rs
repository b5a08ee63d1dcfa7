//! Keys in the written form of a plugin configuration.
//!
//! In: a key, or a field that may have some. Out: PEM, with its line breaks in YAML.

use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use zonegate::token::PublicKey;

/// PEM, as `kumactl generate public-key` prints it.
pub(super) fn pem(key: &PublicKey) -> String {
    let block = pem::Pem::new("RSA PUBLIC KEY", key.pkcs1_der());
    pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// A value whose keys keep their line breaks in YAML.
pub(super) struct Readable<'a>(pub(super) &'a Value);

impl Serialize for Readable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if text.starts_with("-----BEGIN ") && text.ends_with('\n') => {
                serde_saphyr::LitStr(text).serialize(serializer)
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Readable)),
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, Readable(value))))
            }
            other => other.serialize(serializer),
        }
    }
}
