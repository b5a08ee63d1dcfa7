//! Responses of the API server to `GET /global-secrets` (Kuma: `pkg/api-server/resource_endpoints.go` and
//! `pagination.go`).
//!
//! In: the bytes of each page. Out: the place of the next page, and all pages as one list. The items, which are private
//! keys, are not read here.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::fetch_error::FetchError;

/// One page.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    /// The number of items on all pages.
    #[serde(default)]
    total: u64,
    /// `null` if there are no items.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    /// The URL of the next page.
    next: Option<String>,
}

impl<'a> Page<'a> {
    /// Reads a page; `None` if it is not a page.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The offset of the next page, for a query; `None` if this is the last page. The rest of the URL is ignored: the
    /// token must only go to the given address, and a server behind a proxy may not know its own address.
    pub(super) fn next(&self) -> Result<Option<&str>, FetchError> {
        let Some(url) = self.next.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let offset = query.split('&').find_map(|pair| pair.strip_prefix("offset="));
        offset.filter(|offset| is_in_a_query(offset)).map(Some).ok_or(FetchError::NotTheApi)
    }
}

/// Whether a query can contain it: RFC 3986 section 3.4, without the characters that begin another parameter.
fn is_in_a_query(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%+:@/!$'()*,;=".contains(&byte);
    !text.is_empty() && text.len() <= 4096 && text.bytes().all(is_plain)
}

/// All pages as one list, in JSON; or the number of items found, and the expected number.
pub(super) fn join(pages: &[Page<'_>]) -> Result<Zeroizing<String>, (usize, u64)> {
    let items: Vec<&str> =
        pages.iter().flat_map(|page| page.items.iter().flatten()).map(|item| item.get()).collect();
    let total = pages.last().map_or(0, |page| page.total);
    if u64::try_from(items.len()).is_ok_and(|there| there < total) {
        return Err((items.len(), total));
    }
    // The capacity is reserved at once, because a text that grows leaves copies behind.
    let room = items
        .iter()
        .fold(64, |room: usize, item| room.saturating_add(item.len()).saturating_add(1));
    let mut list = Zeroizing::new(String::with_capacity(room));
    list.push_str("{\"items\":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(item);
    }
    list.push_str("]}");
    Ok(list)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)] // a test may panic
mod tests {
    use super::*;

    fn next(next: &str) -> String {
        let page = format!(r#"{{"total":0,"items":[],"next":{next}}}"#);
        let page = Page::parse(page.as_bytes()).unwrap();
        page.next().map_or("unreadable", |next| next.unwrap_or("nothing")).to_owned()
    }

    #[test]
    fn only_the_offset_of_the_next_url_counts() {
        for (url, wanted) in [
            ("null", "nothing"),
            (r#""""#, "nothing"),
            (r#""http://127.0.0.1:5681/global-secrets?offset=1&size=1""#, "1"),
            (r#""https://evil.example/?size=1&offset=a%3D%3D""#, "a%3D%3D"),
            (r#""https://cp:5682/global-secrets""#, "unreadable"),
            (r#""https://cp:5682/global-secrets?offset=""#, "unreadable"),
            (r#""https://cp:5682/global-secrets?offset=1 HTTP/1.1\r\nx: y""#, "unreadable"),
            (r#""https://cp:5682/global-secrets?offset=1#x""#, "unreadable"),
        ] {
            assert_eq!(next(url), wanted, "{url}");
        }
    }

    #[test]
    fn pages_are_joined_and_counted() {
        let texts =
            [r#"{"total":3,"items":[{"a":1},{"b":2}]}"#, r#"{"total":3,"items":[{"c":3}]}"#];
        let pages = texts.map(|text| Page::parse(text.as_bytes()).unwrap());
        assert_eq!(*join(&pages).unwrap(), r#"{"items":[{"a":1},{"b":2},{"c":3}]}"#);
        assert_eq!(join(pages.get(..1).unwrap()).unwrap_err(), (2, 3));
        let nothing = Page::parse(br#"{"total":0,"items":null,"next":null}"#).unwrap();
        assert_eq!(*join(&[nothing]).unwrap(), r#"{"items":[]}"#);
    }

    #[test]
    fn other_responses_are_not_pages() {
        for text in
            ["", "[]", "<html>", r#"{"items":1}"#, r#"{"items":[{]}"#, r#"{"items":[],"x":"#]
        {
            assert!(Page::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
