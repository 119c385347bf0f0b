#include "base/html_page.h"

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::string_view kBeforeTitle = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>)";
constexpr std::string_view kAfterTitle = R"(</title>
<style>
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#59636e;--line:#d5dae0;--warn:#9a3d00;
--c0:#6b7280;--c1:#2367b0;--c2:#d98324;--c3:#3f9e93;--c4:#b23a67;--c5:#6b5b95;--c6:#7a8f2a;--c7:#a0522d}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e7eaee;--soft:#9ba5b0;--line:#363c44;--warn:#f0a060;
--c0:#9ca3af;--c1:#5a9ee6;--c2:#eda553;--c3:#62c2b6;--c4:#e0759c;--c5:#a594d6;--c6:#b5c95e;--c7:#d08b66}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:2rem 1.25rem 3rem;color:var(--ink);background:var(--page)}
h1{font-size:1.5rem;line-height:1.25;margin:0}h2{font-size:1.05rem;margin:2rem 0 .4rem}
p.soft{color:var(--soft);margin:.25rem 0 1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.85rem}
th,td{padding:.35rem .5rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
thead th{color:var(--soft);font-weight:500;white-space:normal;vertical-align:bottom}
th:first-child,.name{text-align:left;font-weight:500}td small{color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));gap:0 2.5rem}
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif;overflow:visible}
svg text{fill:var(--ink)}svg .soft{fill:var(--soft)}.rule{stroke:var(--line)}
polyline{fill:none;stroke-width:1.6}
.key{display:inline-block;width:.7rem;height:.7rem;border-radius:.15rem;margin:0 .35rem 0 0}
.warn{color:var(--warn)}li{margin-bottom:.35rem}
</style></head><body>
)";

}  // namespace

std::string HtmlHead(std::string_view title) {
  return std::string(kBeforeTitle) + EscapeHtml(title) + std::string(kAfterTitle);
}

}  // namespace sobre
