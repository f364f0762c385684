//! Which rules of an ordered list can match a path, told by the literal text of their patterns.
//!
//! A rule is a pattern that begins with a literal (perhaps an empty one) or that is nothing but a
//! literal. The distinct literals are kept sorted, each with a link to the longest other one that
//! it begins with. A literal that `path` begins with is not greater than `path`, so the greatest
//! literal not greater than `path` begins with it too: one binary search and a walk along the
//! links find them all. With n literals that costs O(len(path) · log n + the links passed), and
//! nothing is allocated.
//!
//! Sets of rules are named by small numbers, for callers that keep what they derive from a set.

/// The literal text that a rule's pattern consists of or starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal<'a> {
    /// The text, as it stands in the path.
    pub text: &'a [u8],
    /// Whether the pattern is this text and nothing more.
    pub exact: bool,
}

/// A set of rules: an index from 0 to [`RouteTable::sets`].
pub type Set = usize;

/// Answers which rules can match a path; built once from all of them.
#[derive(Debug, Default)]
pub struct RouteTable {
    count: usize,
    /// Rules with an empty literal that is not exact: they can match every path.
    anywhere: Vec<usize>,
    /// Sorted by text, each text once.
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    text: Box<[u8]>,
    /// The longest other text that this one begins with.
    parent: Option<usize>,
    /// Rules whose pattern starts with this text, ascending.
    prefix: Vec<usize>,
    /// Rules whose pattern is this text, ascending.
    exact: Vec<usize>,
}

/// The set of every rule.
pub const ALL: Set = 0;
/// The rules that can match every path.
const ANYWHERE: Set = 1;
/// The first set of the first node: what a path that begins with its text can match, and after
/// it what the text itself can match.
const FIRST: Set = 2;

impl RouteTable {
    /// Number the rules in the order given and index their literals. O(m log n) for m bytes.
    pub fn new<'a>(literals: impl IntoIterator<Item = Literal<'a>>) -> Self {
        let rules: Vec<_> = literals.into_iter().collect();
        let mut texts: Vec<&[u8]> = rules
            .iter()
            .filter(|rule| !rule.text.is_empty() || rule.exact)
            .map(|rule| rule.text)
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let mut nodes: Vec<Node> = Vec::with_capacity(texts.len());
        for text in &texts {
            let mut parent = nodes.len().checked_sub(1);
            while let Some(index) = parent
                && !text.starts_with(&nodes[index].text)
            {
                parent = nodes[index].parent;
            }
            nodes.push(Node {
                text: (*text).into(),
                parent,
                prefix: Vec::new(),
                exact: Vec::new(),
            });
        }
        let mut anywhere = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            match texts.binary_search(&rule.text) {
                Ok(index) if rule.exact => nodes[index].exact.push(number),
                Ok(index) if !rule.text.is_empty() => nodes[index].prefix.push(number),
                _ => anywhere.push(number),
            }
        }
        Self {
            count: rules.len(),
            anywhere,
            nodes,
        }
    }

    /// How many sets of rules there are.
    #[must_use]
    pub fn sets(&self) -> usize {
        FIRST + 2 * self.nodes.len()
    }

    /// The set of the rules that can match this path.
    ///
    /// All of them, if the path ends in a newline: Python's `$` matches before it. (HTTP has no
    /// such path.)
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Set {
        if path.last() == Some(&b'\n') {
            return ALL;
        }
        let greatest = self.nodes.partition_point(|node| *node.text <= *path);
        let Some(greatest) = greatest.checked_sub(1) else {
            return ANYWHERE;
        };
        let text = &self.nodes[greatest].text;
        let common = text.iter().zip(path).take_while(|(a, b)| a == b).count();
        let mut node = Some(greatest);
        while let Some(index) = node {
            let Node { text, parent, .. } = &self.nodes[index];
            if text.len() <= common {
                return self.nearest(index, text.len() == path.len());
            }
            node = *parent;
        }
        ANYWHERE
    }

    /// The set of this node, or of the nearest one up the links that holds the same rules.
    fn nearest(&self, mut index: usize, equal: bool) -> Set {
        if equal && !self.nodes[index].exact.is_empty() {
            return FIRST + 2 * index + 1;
        }
        loop {
            let node = &self.nodes[index];
            if !node.prefix.is_empty() {
                return FIRST + 2 * index;
            }
            match node.parent {
                Some(parent) => index = parent,
                None => return ANYWHERE,
            }
        }
    }

    /// The rules of a set in ascending order; none for a number that is no set.
    #[must_use]
    pub fn rules(&self, set: Set) -> Vec<usize> {
        if set == ALL {
            return (0..self.count).collect();
        }
        let mut rules = self.anywhere.clone();
        if let Some(place) = set.checked_sub(FIRST) {
            let mut node = self.nodes.get(place / 2);
            if let Some(node) = node
                && place % 2 == 1
            {
                rules.extend(&node.exact);
            }
            while let Some(Node { prefix, parent, .. }) = node {
                rules.extend(prefix);
                node = parent.and_then(|index| self.nodes.get(index));
            }
        }
        rules.sort_unstable();
        rules
    }

    /// The rules that can match this path, in ascending order.
    #[must_use]
    pub fn candidates(&self, path: &[u8]) -> Vec<usize> {
        self.rules(self.find(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(literals: &[(&str, bool)]) -> RouteTable {
        RouteTable::new(literals.iter().map(|(text, exact)| Literal {
            text: text.as_bytes(),
            exact: *exact,
        }))
    }

    #[test]
    fn rules_come_in_their_order() {
        let routes = table(&[
            ("/users/", false),
            ("", false),
            ("/users/me", true),
            ("/", true),
            ("/users/me", false),
            ("/use", false),
            ("", true),
        ]);
        for (path, expected) in [
            ("/users/me", &[0, 1, 2, 4, 5][..]),
            ("/users/mean", &[0, 1, 4, 5]),
            ("/users/7", &[0, 1, 5]),
            ("/users/", &[0, 1, 5]),
            ("/users", &[1, 5]),
            ("/us", &[1]),
            ("/", &[1, 3]),
            ("", &[1, 6]),
            ("/~", &[1]),
            ("/users/me\n", &[0, 1, 2, 3, 4, 5, 6]),
        ] {
            assert_eq!(routes.candidates(path.as_bytes()), expected, "{path:?}");
        }
    }

    #[test]
    fn no_rules() {
        let routes = RouteTable::new([]);
        assert!(routes.candidates(b"/").is_empty());
        assert!(routes.candidates(b"").is_empty());
        assert!(routes.candidates(b"\n").is_empty());
    }

    #[test]
    fn nodes_without_prefix_rules_share_a_set() {
        let routes = table(&[("/a", false), ("/a/b", true), ("/a/c", true)]);
        let set = routes.find(b"/a/bx");
        assert_eq!(routes.find(b"/a/cx"), set);
        assert_eq!(routes.find(b"/a"), set);
        assert_ne!(routes.find(b"/a/b"), set);
    }

    #[test]
    fn a_number_that_is_no_set_has_only_the_rules_for_all() {
        let routes = table(&[("", false), ("/a", true)]);
        assert_eq!(routes.rules(routes.sets() + 7), [0]);
    }

    proptest! {
        #[test]
        fn same_as_asking_every_rule(
            rules in prop::collection::vec(("[ab/]{0,5}", any::<bool>()), 0..40),
            path in "[ab/]{0,8}\n?",
        ) {
            let literals: Vec<_> = rules.iter().map(|(text, exact)| (text.as_str(), *exact)).collect();
            let routes = table(&literals);
            let expected: Vec<usize> = rules
                .iter()
                .enumerate()
                .filter(|(_, (text, exact))| {
                    path.ends_with('\n') || if *exact { path == *text } else { path.starts_with(text.as_str()) }
                })
                .map(|(number, _)| number)
                .collect();
            prop_assert!(routes.find(path.as_bytes()) < routes.sets());
            prop_assert_eq!(routes.candidates(path.as_bytes()), expected);
        }
    }
}
