//! Content negotiation: the format that a client prefers (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// The value of the offer to which the header `Accept` gives the highest weight. Among equal weights the one
/// wins that `Accept` names more exactly, then the earlier offer. A client that accepts no offer gets the
/// first one, which helps more than a 406. `offers` holds media types without parameters, and is never empty.
pub(super) fn choose<T: Copy>(headers: &HeaderMap, offers: &[(&str, T)]) -> T {
    let accept = headers.get_all(header::ACCEPT);
    let ranges: Vec<Range<'_>> = accept
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(Range::parse)
        .collect();
    let mut best = (0, Precision::None, offers[0].1);
    for (media_type, offer) in offers {
        let (precision, weight) = weigh(&ranges, media_type);
        if weight > 0 && (weight, precision) > (best.0, best.1) {
            best = (weight, precision, *offer);
        }
    }
    best.2
}

/// How exactly a range of the header `Accept` names a media type, from not at all to exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    None,
    Anything,
    Family,
    Exact,
}

/// One media range of the header `Accept`, with its weight in thousandths.
struct Range<'a> {
    media_type: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
        Self { media_type, weight: (weight.clamp(0.0, 1.0) * 1000.0) as u16 }
    }

    fn precision(&self, media_type: &str) -> Precision {
        let family = media_type.split('/').next().unwrap_or_default();
        match self.media_type.split_once('/') {
            _ if self.media_type.eq_ignore_ascii_case(media_type) => Precision::Exact,
            Some(("*", "*")) => Precision::Anything,
            Some((own, "*")) if own.eq_ignore_ascii_case(family) => Precision::Family,
            _ => Precision::None,
        }
    }
}

/// How exactly the header `Accept` names a media type, and its weight there in thousandths. The most exact
/// range decides, and of equally exact ranges the one of the highest weight. The weight is 0 if no range
/// matches.
fn weigh(ranges: &[Range<'_>], media_type: &str) -> (Precision, u16) {
    let weights = ranges.iter().map(|range| (range.precision(media_type), range.weight));
    weights.filter(|(precision, _)| *precision > Precision::None).max().unwrap_or((Precision::None, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn chosen(accept: &str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).expect("a header"));
        choose(&headers, &[("application/json", "json"), ("text/plain", "text")])
    }

    #[test]
    fn without_a_wish_the_first_offer_is_chosen() {
        assert_eq!(choose(&HeaderMap::new(), &[("application/json", 1), ("text/plain", 2)]), 1);
        assert_eq!(chosen("*/*"), "json");
        assert_eq!(chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "json");
    }

    #[test]
    fn the_heaviest_wins() {
        assert_eq!(chosen("application/json;q=0.5, text/plain;q=0.501"), "text");
        assert_eq!(chosen("text/plain;q=0.2,application/json;q=0.3"), "json");
    }

    #[test]
    fn of_equals_the_one_named_more_exactly_wins_and_then_the_first_offer() {
        assert_eq!(chosen("text/plain, */*"), "text");
        assert_eq!(chosen("text/*, */*"), "text");
        assert_eq!(chosen("text/plain, application/json"), "json");
    }

    #[test]
    fn the_most_exact_range_decides_even_if_it_is_lighter() {
        assert_eq!(chosen("*/*, application/json;q=0"), "text");
        assert_eq!(chosen("*/*;q=0.5, application/json;q=0.1"), "text");
    }

    #[test]
    fn names_may_be_in_capitals_and_other_parameters_do_not_matter() {
        assert_eq!(chosen("TEXT/Plain;version=0.0.4;charset=utf-8;Q=0.9"), "text");
    }

    #[test]
    fn nonsense_gets_the_first_offer() {
        for accept in ["", ",", ";q=1", "text", "text/plain;q=banana", "image/png", "text/plain;q=0"] {
            assert_eq!(chosen(accept), "json", "{accept:?}");
        }
    }
}
