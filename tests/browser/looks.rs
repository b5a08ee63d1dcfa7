//! Each page on each screen in both colours.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use zonegate_testkit::process::{Log, Process};

use crate::driver::Browser;
use crate::pages::{Served, blind, busy, hostile, quiet};
use crate::state::KEY;

/// Name, width, height: a small phone, a tablet, a desk.
const SCREENS: [(&str, u32, u32); 3] =
    [("phone", 360, 740), ("tablet", 768, 1024), ("desk", 1280, 800)];

/// Elements that reach beyond their section or the screen, and whether the page can be scrolled sideways. Elements that
/// are clipped on purpose, for screen readers, do not count.
const TOO_WIDE: &str = "
    const wide = [...document.querySelectorAll('body *')].filter(one => {
        const box = one.getBoundingClientRect();
        const room = (one.closest('section') ?? document.documentElement).getBoundingClientRect();
        const clipped = one.closest('thead')?.getBoundingClientRect().width == 1;
        return !clipped && (box.right > room.right + 1 || box.left < room.left - 1);
    });
    const page = document.documentElement;
    return [page.scrollWidth > innerWidth ? 'page' : null, ...wide.map(one => one.outerHTML.slice(0, 80))]
        .filter(one => one);
";

/// Texts with less contrast than WCAG 2.2 asks for (1.4.3: 4.5 to 1), or smaller than 12 pixels.
const NOT_READABLE: &str = "
    const part = value => { value /= 255; return value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
    const behind = one => {
        for (; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const bad = [];
    for (const one of document.querySelectorAll('body *')) {
        const own = [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim());
        if (!own) continue;
        const style = getComputedStyle(one);
        const [a, b] = [light(parts(style.color)), light(behind(one))].sort((x, y) => y - x);
        const ratio = (a + .05) / (b + .05);
        if (ratio < 4.5 || parseFloat(style.fontSize) < 12)
            bad.push(one.tagName + ' ' + ratio.toFixed(2) + ' ' + style.fontSize + ' ' + one.textContent.slice(0, 40));
    }
    return bad;
";

/// The colour of the page: light and dark must differ.
const COLOUR: &str = "return getComputedStyle(document.body).backgroundColor;";

/// Elements that run or load something, what was loaded, and the title, which a script might have changed.
const ACTIVE: &str = "
    const all = [...document.querySelectorAll('*')];
    return {
        title: document.title,
        active: all.filter(one => one.matches('script, img, svg, iframe, link, form') ||
            [...one.attributes].some(attribute => attribute.name.startsWith('on'))).length,
        loaded: performance.getEntriesByType('resource').map(entry => entry.name),
        styled: document.styleSheets.length,
    };
";

async fn keep(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("ZONEGATE_SCREENSHOTS").filter(|path| !path.is_empty()) {
        for format in ["png", "webp"] {
            let path = PathBuf::from(&folder).join(format!("{name}.{format}"));
            fs::write(path, browser.picture(format).await).unwrap();
        }
    }
}

#[tokio::test]
async fn every_page_can_be_read_on_every_screen_in_light_and_dark() {
    let Some(browser) = Browser::start().await else { return };
    let pages = [("busy", busy()), ("blind", blind()), ("quiet", quiet()), ("hostile", hostile())];
    for (page, state) in pages {
        let served = Served::start(state.html()).await;
        for (screen, width, height) in SCREENS {
            let mut colours = Vec::new();
            for scheme in ["light", "dark"] {
                let name = format!("{page}-{screen}-{scheme}");
                browser.screen(width, height, scheme).await;
                browser.open(&served.url).await;
                keep(&browser, &name).await;
                assert_eq!(browser.run(TOO_WIDE).await, json!([]), "{name}");
                assert_eq!(browser.run(NOT_READABLE).await, json!([]), "{name}");
                colours.push(browser.run(COLOUR).await);
            }
            assert_ne!(colours[0], colours[1], "{page}-{screen}");
        }
    }
    browser.stop().await;
}

#[tokio::test]
async fn no_page_runs_or_loads_anything() {
    let Some(browser) = Browser::start().await else { return };
    for state in [hostile(), busy()] {
        let served = Served::start(state.html()).await;
        browser.open(&served.url).await;
        let wanted = json!({ "title": "Zonegate", "active": 0, "loaded": [], "styled": 1 });
        assert_eq!(browser.run(ACTIVE).await, wanted);
        assert_eq!(browser.said().await, [""; 0]);
    }
    // The policy of the page must hold even without escaping: here the same text is markup.
    let html = busy().html();
    let broken = html.replace(
        "</main>",
        "<script>document.title = 'run'</script><img src=/x onerror=\"document.title = 'run'\"></main>",
    );
    let served = Served::start(broken).await;
    browser.open(&served.url).await;
    let seen = browser.run(ACTIVE).await;
    assert_eq!((&seen["title"], &seen["active"]), (&json!("Zonegate"), &json!(2)), "{seen}");
    let said = browser.said().await;
    assert!(said.iter().any(|line| line.contains("Content Security Policy")), "{said:?}");
    browser.stop().await;
}

#[tokio::test]
async fn a_running_service_shows_its_page_at_its_address() {
    let Some(browser) = Browser::start().await else { return };
    let dir = tempfile::TempDir::new().unwrap();
    let policy = dir.path().join("policy.yaml");
    let keys = json!([{ "kid": "key-1", "key": KEY.public_key_pem() }]);
    fs::write(&policy, json!({ "zone": "us-east", "publicKeys": keys }).to_string()).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_zonegate"));
    command.arg("serve").arg("--config").arg(&policy).args(["--listen", "127.0.0.1:0"]);
    let mut service = Process::start(command, Log::File, dir.path().join("log")).unwrap();
    let address = loop {
        let log = service.log().unwrap();
        if log.contains("configured version=") {
            break log.split("listen=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        }
        assert!(service.ended().unwrap().is_none(), "{log}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    browser.open(&format!("http://{address}/")).await;
    let shown = browser.run("return [location.pathname, document.body.innerText];").await;
    assert_eq!(shown[0], "/status");
    let text = shown[1].as_str().unwrap();
    assert!(text.contains("us-east") && text.contains("Nothing needs attention."), "{text}");
    assert!(text.contains(&KEY.public_key().fingerprint().to_string()), "{text}");
    let styled = browser.run("return document.styleSheets.length;").await;
    assert_eq!((styled, browser.said().await), (Value::from(1), Vec::new()));
    browser.stop().await;
    service.stop().await;
}
