//! The graph of memories: their tags, and which stand together.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fmt::Write as _;

use majordomo_application::ports::{MemoryFilter, MemoryOrder};
use majordomo_domain::Memory;
use schemars::JsonSchema;
use serde::Serialize;

/// Memories whose tags make the graph: the newest.
const MEMORIES: u32 = 500;
/// Tags and pairs shown at most.
const MAX_NODES: usize = 100;
const MAX_EDGES: usize = 500;
/// Size of the drawing, in pixels.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;

/// Which memories the graph is made of.
pub(super) const fn filter() -> MemoryFilter {
    MemoryFilter {
        kind: None,
        order: MemoryOrder::Newest,
        limit: MEMORIES,
        offset: 0,
    }
}

/// Tags by how often they are given, and how often two are given together.
#[derive(Debug, Default)]
pub(super) struct TagGraph {
    tags: BTreeMap<String, u64>,
    pairs: BTreeMap<(String, String), u64>,
}

/// The graph.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GraphResponse {
    /// Tags.
    nodes: Vec<Node>,
    /// Tags that stand together.
    edges: Vec<Edge>,
}

/// A tag.
#[derive(Debug, Serialize, JsonSchema)]
struct Node {
    /// Names it.
    id: String,
    /// What is shown.
    label: String,
    /// How many memories have it.
    count: u64,
}

/// Two tags that stand together.
#[derive(Debug, Serialize, JsonSchema)]
struct Edge {
    /// One.
    source: String,
    /// The other.
    target: String,
    /// How often.
    weight: u64,
}

impl TagGraph {
    pub(super) fn of(memories: &[Memory]) -> Self {
        let mut graph = Self::default();
        for memory in memories {
            let mut tags: Vec<&String> = memory.tags.iter().collect();
            tags.sort();
            for (place, tag) in tags.iter().enumerate() {
                *graph.tags.entry((*tag).clone()).or_default() += 1;
                for other in tags.iter().skip(place + 1) {
                    let pair = ((*tag).clone(), (*other).clone());
                    *graph.pairs.entry(pair).or_default() += 1;
                }
            }
        }
        graph
    }

    pub(super) fn entities(&self) -> u64 {
        u64::try_from(self.tags.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn relationships(&self) -> u64 {
        u64::try_from(self.pairs.len()).unwrap_or(u64::MAX)
    }

    /// The most frequent tags, and the most frequent pairs of them.
    pub(super) fn shown(self) -> GraphResponse {
        let mut nodes: Vec<Node> = self
            .tags
            .into_iter()
            .map(|(tag, count)| Node {
                id: tag.clone(),
                label: tag,
                count,
            })
            .collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.count));
        nodes.truncate(MAX_NODES);
        let known = |tag: &String| nodes.iter().any(|node| node.id == *tag);
        let mut edges: Vec<Edge> = self
            .pairs
            .into_iter()
            .filter(|((one, other), _)| known(one) && known(other))
            .map(|((source, target), weight)| Edge {
                source,
                target,
                weight,
            })
            .collect();
        edges.sort_by_key(|edge| std::cmp::Reverse(edge.weight));
        edges.truncate(MAX_EDGES);
        GraphResponse { nodes, edges }
    }
}

impl GraphResponse {
    /// The graph as a drawing: tags in a circle.
    pub(super) fn to_svg(&self) -> String {
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">"#
        );
        if self.nodes.is_empty() {
            svg.push_str(
                r#"<text x="10" y="20" fill="rgba(255,255,255,0.6)">No graph data</text></svg>"#,
            );
            return svg;
        }
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let total = number(self.nodes.len());
        let place = |index: usize| {
            let angle = number(index) / total * TAU;
            let (x, y) = (angle.cos() * 0.4, angle.sin() * 0.4);
            ((0.5 + x) * WIDTH, (0.5 + y) * HEIGHT)
        };
        let place_of = |tag: &String| {
            self.nodes
                .iter()
                .position(|node| node.id == *tag)
                .map(place)
        };
        for edge in &self.edges {
            if let (Some((x1, y1)), Some((x2, y2))) =
                (place_of(&edge.source), place_of(&edge.target))
            {
                // Writing to a String cannot fail.
                let _ = write!(
                    svg,
                    r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="rgba(255,255,255,0.2)"/>"#
                );
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let (x, y) = place(index);
            let label = escape(&node.label);
            let _ = write!(
                svg,
                r#"<text x="{x:.1}" y="{y:.1}" fill="rgba(255,255,255,0.8)" text-anchor="middle">{label}</text>"#
            );
        }
        svg.push_str("</svg>");
        svg
    }
}

/// Text in a drawing: markup stays text.
fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            c if c.is_control() => String::new(),
            c => c.to_string(),
        })
        .collect()
}
