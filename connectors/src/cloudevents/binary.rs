//! Binary mode: attributes in `ce-*` header fields, the body is the data.

use engine::batch::HeaderWriter;
use engine::event::put_attribute;

use super::attributes::{AttributeError, Envelope, check_name, check_value};
use super::text::{HeaderValueError, decode_header_value};

/// Why the header fields are no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// Something is wrong with an attribute.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// A field's value cannot be decoded.
    #[error("the header field 'ce-{name}' {error}")]
    Value {
        /// The attribute.
        name: String,
        /// What is wrong.
        error: HeaderValueError,
    },
    /// The content type travels in `Content-Type` only.
    #[error("'ce-datacontenttype' must not be sent: the data's media type is the Content-Type")]
    ContentType,
}

/// Decodes the attributes into `headers` and the partition key into `key`. `fields` are all header fields, names in lower case;
/// `content_type` is the request's.
pub fn decode_binary<'f>(
    fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    content_type: Option<&str>,
    headers: &mut HeaderWriter,
    key: &mut Vec<u8>,
) -> Result<(), BinaryError> {
    headers.clear();
    key.clear();
    let mut envelope = Envelope::default();
    let mut value = String::new();
    let mut names: Vec<&str> = Vec::new();
    for (field, bytes) in fields {
        let Some(name) = field.strip_prefix("ce-") else { continue };
        if name == "datacontenttype" {
            return Err(BinaryError::ContentType);
        }
        check_name(name)?;
        if names.contains(&name) {
            return Err(AttributeError::Twice(name.to_owned()).into());
        }
        names.push(name);
        decode_header_value(bytes, &mut value).map_err(|error| BinaryError::Value { name: name.to_owned(), error })?;
        check_value(name, &value)?;
        envelope.take(name, &value, key);
        put_attribute(headers, name, &value);
    }
    envelope.finish()?;
    // Bytes of no stated type are not JSON, which a record without content type would be.
    put_attribute(headers, "datacontenttype", content_type.unwrap_or("application/octet-stream"));
    Ok(())
}
