//! Charts of a run, as SVG for the docs.
//!
//! In: results. Out: two files. Their colours follow the colour scheme of the reader, light or dark: a style sheet in
//! the file replaces the fixed colours with which plotters draws.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::chain::{EXT_AUTHZ, JWT, JWT_CACHE, NATIVE, ZONEGATE};
use crate::requests::{rbac_name, with_list};
use crate::results::{ADDED, Results};

const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(208, 215, 222);
const OURS: RGBColor = RGBColor(9, 105, 218);
const LIBRARY: RGBColor = RGBColor(26, 127, 55);
const ENVOYS: RGBColor = RGBColor(191, 135, 0);
const SERVICE: RGBColor = RGBColor(130, 80, 223);
/// The colours as drawn, and their dark replacements.
const DARK: [(RGBColor, &str); 6] = [
    (INK, "#e6edf3"),
    (FAINT, "#3d444d"),
    (OURS, "#4493f8"),
    (LIBRARY, "#3fb950"),
    (ENVOYS, "#d29922"),
    (SERVICE, "#ab7df8"),
];

/// Longer bars are cut off here, with their value beside them.
const LONGEST: f64 = 80.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes those charts to `folder` whose scenarios are in `results`.
pub(crate) fn write(results: &Results, folder: &Path) -> anyhow::Result<()> {
    let groups = groups(results);
    if !groups.is_empty() {
        let height = 60 + 98 * u32::try_from(groups.len())?;
        draw(&folder.join("performance-requests.svg"), (820, height), |area| bars(area, &groups))?;
    }
    let lists = lists(results);
    if lists.iter().all(|(_, _, points)| points.len() > 1) {
        draw(&folder.join("performance-lists.svg"), (820, 360), |area| lines(area, &lists))?;
    }
    Ok(())
}

/// Draws one file.
fn draw(
    file: &Path,
    size: (u32, u32),
    paint: impl FnOnce(&Area<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        paint(&area)?;
        area.present()?;
    }
    fs::write(file, dark_too(&text)).with_context(|| format!("writing {}", file.display()))
}

fn dark_too(svg: &str) -> String {
    let rules: String = DARK
        .iter()
        .map(|(RGBColor(r, g, b), dark)| {
            let light = format!("#{r:02X}{g:02X}{b:02X}");
            format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
        })
        .collect();
    let style = format!("<style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n");
    match svg.find(">\n").map(|end| svg.split_at(end + 2)) {
        Some((head, rest)) => format!("{head}{style}{rest}"),
        None => svg.to_owned(),
    }
}

/// A scenario, and its subjects: name, colour, added µs.
type Group = (String, Vec<(String, RGBColor, f64)>);

fn groups(results: &Results) -> Vec<Group> {
    [
        ("a", "every token new", JWT.to_owned()),
        ("b", "the same tokens", JWT_CACHE.to_owned()),
        ("c garbage", "garbage, refused", JWT.to_owned()),
        ("c unknown kid", "unknown kid, refused", JWT.to_owned()),
        ("c bad signature", "bad signature, refused", JWT.to_owned()),
        ("c expired", "expired, refused", JWT.to_owned()),
        ("c revoked", "revoked, refused", rbac_name(1_000)),
    ]
    .into_iter()
    .filter_map(|(id, title, envoys)| {
        let bar = |name: &str, colour| {
            let value = results.value(id, name, ADDED)?.median;
            Some((name.to_owned(), colour, value))
        };
        let ours = [bar(ZONEGATE, OURS), bar(NATIVE, LIBRARY)];
        let others = [bar(&envoys, ENVOYS), bar(EXT_AUTHZ, SERVICE)];
        let bars: Vec<_> = ours.into_iter().chain(others).flatten().collect();
        (!bars.is_empty()).then(|| (title.to_owned(), bars))
    })
    .collect()
}

fn bars(area: &Area<'_>, groups: &[Group]) -> anyhow::Result<()> {
    let (small, bold) = (font(13), font(15).style(FontStyle::Bold));
    let small = small.into_text_style(area).color(&INK);
    let (left, width) = (300, 420.0);
    let middle_right = small.clone().pos(Pos::new(HPos::Right, VPos::Center));
    let middle_left = small.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(
        "µs of Envoy's CPU added to a request (shorter is better)",
        &bold.into_text_style(area).color(&INK),
        (16, 14),
    )?;
    let mut y = 48;
    for (title, bars) in groups {
        area.draw_text(title, &middle_left, (16, y + 11))?;
        for (name, colour, value) in bars {
            let length = (value.clamp(0.0, LONGEST) / LONGEST * width) as i32;
            let bar =
                Rectangle::new([(left, y + 2), (left + length.max(1), y + 18)], colour.filled());
            area.draw(&bar)?;
            area.draw_text(name, &middle_right, (left - 8, y + 10))?;
            area.draw_text(&shown(*value), &middle_left, (left + length + 6, y + 10))?;
            y += 22;
        }
        y += 10;
    }
    Ok(())
}

/// The value beside a bar, with a mark if the bar was cut off.
fn shown(value: f64) -> String {
    match value {
        value if value > LONGEST => format!("{value:.0} ▸"),
        value => format!("{value:.1}"),
    }
}

/// A subject, its colour, and its points: ids on the list, added µs.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

fn lists(results: &Results) -> [Line; 2] {
    let points = |scenario: &str, name: fn(usize) -> String| {
        [1_000, 10_000, 100_000, 1_000_000]
            .into_iter()
            .filter_map(|ids| {
                Some((ids as f64, results.value(scenario, &name(ids), ADDED)?.median))
            })
            .filter(|(_, added)| *added > 0.0)
            .collect::<Vec<_>>()
    };
    [
        ("jwt_authn, token cache, RBAC", ENVOYS, points("b", rbac_name)),
        (ZONEGATE, OURS, points("d", with_list)),
    ]
}

fn lines(area: &Area<'_>, lists: &[Line]) -> anyhow::Result<()> {
    let failed = |error: DrawingAreaErrorKind<_>| anyhow!("{error}");
    let mut chart = ChartBuilder::on(area)
        .caption(
            "µs of Envoy's CPU added to a request, by the length of the revocation list",
            font(15).style(FontStyle::Bold).into_text_style(area).color(&INK),
        )
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((800.0..1_400_000.0_f64).log_scale(), (1.0..50_000.0_f64).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(FAINT)
        .label_style(font(13).into_text_style(area).color(&INK))
        .x_desc("revoked ids")
        .x_label_formatter(&|ids| format!("{ids:.0}"))
        .y_label_formatter(&|added| format!("{added:.0} µs"))
        .draw()
        .map_err(failed)?;
    for (name, colour, points) in lists {
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
            .map_err(failed)?;
        let dots = points.iter().map(|point| Circle::new(*point, 4, colour.filled()));
        chart.draw_series(dots).map_err(failed)?;
        let style = font(13).into_text_style(area).color(colour);
        // The name goes below and right of the second point, clear of the line.
        let second = points.iter().skip(1).take(1);
        let named = second
            .map(|(x, y)| Text::new((*name).to_owned(), (*x * 1.15, y * 0.72), style.clone()));
        chart.draw_series(named).map_err(failed)?;
    }
    Ok(())
}

fn font(size: u32) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(size), FontStyle::Normal)
}
