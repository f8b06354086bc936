//! Charts of ratios: horizontal bars that begin at 1, on a logarithmic scale, so that twice as fast and half as fast are
//! equally long. SVG that follows the reader's choice of a light or a dark background.

use std::fmt::{self, Write as _};

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What stands before it.
    pub label: String,
    /// How long it is. Not drawn if it is not a positive number: nothing was measured then.
    pub ratio: f64,
}

/// Bars under one heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The heading.
    pub title: String,
    /// The bars, from top to bottom.
    pub bars: Vec<Bar>,
}

const WIDTH: f64 = 880.0;
const LEFT: f64 = 130.0;
/// Room for a bar's number on both sides of the scale.
const MARGIN: f64 = 60.0;
const LINE: f64 = 22.0;
const BAR: f64 = 14.0;
/// The scale reaches at least this far to both sides of 1.
const LEAST: f64 = 2.0;

const STYLE: &str = "\
text { font: 12px sans-serif; fill: #1f2328 } .title { font-weight: bold } .axis { fill: #59636e }
.ahead { fill: #1a7f64 } .behind { fill: #c4570a } line { stroke: #8b949e } .one { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .axis { fill: #9198a1 } .ahead { fill: #3fb99a } .behind { fill: #f0883e }
line { stroke: #545d68 } .one { stroke: #e6edf3 } }";

/// Draws groups of bars one below the other.
pub fn svg(caption: &str, groups: &[Group]) -> String {
    let scale = Scale::of(groups);
    let mut body = String::new();
    let mut y = LINE;
    text(&mut body, 10.0, y, "start", "axis", caption);
    y += LINE / 2.0;
    let top = y;
    for group in groups {
        y += LINE;
        text(&mut body, 10.0, y, "start", "title", &group.title);
        for bar in &group.bars {
            y += LINE;
            draw(&mut body, &scale, bar, y);
        }
        y += LINE / 2.0;
    }
    y += LINE;
    let mut axis = String::new();
    for tick in scale.ticks() {
        let (x, class) = (scale.x(tick), if tick == 1.0 { " class=\"one\"" } else { "" });
        add(
            &mut axis,
            format_args!("<line{class} x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>", y - 16.0),
        );
        text(&mut axis, x, y, "middle", "axis", &format!("{tick}"));
    }
    let height = y + LINE / 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}\n</style>\n{axis}{body}</svg>\n",
        escaped(caption)
    )
}

fn draw(body: &mut String, scale: &Scale, bar: &Bar, y: f64) {
    text(body, LEFT - 10.0, y, "end", "label", &bar.label);
    if !is_measured(bar) {
        return text(body, LEFT, y, "start", "axis", "not measured");
    }
    let (one, end) = (scale.x(1.0), scale.x(bar.ratio));
    let (class, anchor, beside) =
        if bar.ratio >= 1.0 { ("ahead", "start", end + 5.0) } else { ("behind", "end", end - 5.0) };
    let (x, width) = (one.min(end), (end - one).abs());
    add(
        body,
        format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>",
            y - BAR + 3.0
        ),
    );
    text(body, beside, y, anchor, "label", &format!("{:.2}", bar.ratio));
}

fn is_measured(bar: &Bar) -> bool {
    bar.ratio.is_finite() && bar.ratio > 0.0
}

/// A logarithmic scale from half of the canvas to the other.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(groups: &[Group]) -> Scale {
        let ratios = groups.iter().flat_map(|group| &group.bars).filter(|bar| is_measured(bar));
        let (low, high) = ratios.fold((1.0 / LEAST, LEAST), |(low, high): (f64, f64), bar| {
            (low.min(bar.ratio), high.max(bar.ratio))
        });
        Scale { low: low.log2(), high: high.log2() }
    }

    fn x(&self, ratio: f64) -> f64 {
        let share = (ratio.log2() - self.low) / (self.high - self.low);
        LEFT + MARGIN + share * (WIDTH - LEFT - 2.0 * MARGIN)
    }

    /// Powers of two, or of a power of two where there would be too many of them to be read.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = (self.low.ceil() as i32, self.high.floor() as i32);
        let step = ((high - low) / 10 + 1).max(1);
        (low..=high).filter(|power| power % step == 0).map(|power| 2_f64.powi(power)).collect()
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
    let text = escaped(text);
    add(
        svg,
        format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ),
    );
}

fn add(svg: &mut String, element: fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("text can always be added to a string");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(ratios: &[f64]) -> String {
        let bars = ratios.iter().map(|ratio| Bar { label: format!("<{ratio}>"), ratio: *ratio }).collect();
        svg("caption", &[Group { title: "a & b".to_owned(), bars }])
    }

    /// The numbers that an attribute has in those elements that have it.
    fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<f64> {
        let value = |line: &str| {
            let (_, rest) = line.split_once(&format!(" {attribute}=\""))?;
            rest.split_once('"')?.0.parse().ok()
        };
        svg.lines().filter(|line| line.starts_with(&format!("<{element} "))).filter_map(value).collect()
    }

    #[test]
    fn twice_as_fast_and_half_as_fast_are_bars_of_one_length_on_both_sides_of_one() {
        let svg = chart(&[2.0, 0.5]);
        let (x, width) = (numbers(&svg, "rect", "x"), numbers(&svg, "rect", "width"));
        assert!((width[0] - width[1]).abs() < 0.2, "{width:?}");
        assert!((x[1] + width[1] - x[0]).abs() < 0.2, "they meet at 1: {x:?}");
        assert_eq!(svg.matches("class=\"ahead\"").count(), 1);
        assert_eq!(svg.matches("class=\"behind\"").count(), 1);
        assert_eq!(svg.matches("class=\"one\"").count(), 1);
    }

    #[test]
    fn no_bar_leaves_the_canvas_however_long() {
        for ratios in [&[1e-6, 1e6][..], &[1.0], &[300.0], &[f64::NAN, f64::INFINITY, 0.0, -1.0], &[]] {
            let svg = chart(ratios);
            let (x, width) = (numbers(&svg, "rect", "x"), numbers(&svg, "rect", "width"));
            for (x, width) in x.iter().zip(&width) {
                assert!(*x >= LEFT && *width >= 0.0 && x + width <= WIDTH - MARGIN + 0.1, "{svg}");
            }
            assert!((1..=14).contains(&svg.matches("<line").count()), "{svg}");
        }
        assert_eq!(chart(&[f64::NAN, 2.0]).matches("not measured").count(), 1);
    }

    #[test]
    fn names_are_text_whatever_they_are() {
        let svg = chart(&[2.0]);
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;2&gt;") && !svg.contains("<2>"), "{svg}");
    }
}
