"""The look of the report: one inline stylesheet for light, dark, print and narrow screens. No address, no font to load."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1b2026;--quiet:#525d69;--rule:#c9d1d9;--soft:#f3f6f9;--one:#0b5cad;--two:#a34700;--three:#2b6e3f;--bar:#9cc3ea;--edge:#0b3f78}
@media (prefers-color-scheme:dark){:root{--page:#14181c;--ink:#e5e9ed;--quiet:#a7b1bb;--rule:#3c4650;--soft:#1d2329;--one:#79b8ff;--two:#ffb06b;--three:#7fd69b;--bar:#2f639b;--edge:#d6e6f7}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:58rem;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink);font:1rem/1.55 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.4rem;line-height:1.25;margin:2.8rem 0 .6rem;padding-top:.9rem;border-top:1px solid var(--rule)}
h3{font-size:1.1rem;margin:1.8rem 0 .4rem;overflow-wrap:anywhere}
p,li{max-width:44rem}
li{margin:.3rem 0}
a{color:var(--one)}
code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.92em;overflow-wrap:anywhere}
h3 code{font-weight:400;color:var(--quiet);margin-left:.3rem}
.quiet,figcaption,caption{color:var(--quiet)}
.quiet{margin-top:0}
.lead{background:var(--soft);border-left:.35rem solid var(--one);padding:.9rem 1.1rem;font-size:1.13rem;margin:1.2rem 0}
.lead p{margin:.35rem 0}
nav ul{columns:16rem;column-gap:2rem;padding-left:1.2rem;margin:.4rem 0}
nav li{margin:0;padding:.15rem 0;break-inside:avoid}
.scroll{overflow-x:auto;margin:.8rem 0}
.scroll:focus-visible,summary:focus-visible,a:focus-visible{outline:3px solid var(--two);outline-offset:2px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:50%}
caption{text-align:left;padding:.2rem 0 .5rem;font-size:.95rem}
th,td{padding:.32rem .8rem .32rem 0;border-bottom:1px solid var(--rule);vertical-align:top;text-align:left}
thead th{border-bottom:2px solid var(--ink);vertical-align:bottom}
tbody th{font-weight:500}
.n{text-align:right;padding-left:.8rem}
figure{margin:1rem 0 1.4rem}
figcaption{font-size:.95rem;max-width:44rem;margin:.2rem 0 .3rem}
svg{display:block;width:100%;max-width:34rem;height:auto;font:13px system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
svg text{fill:var(--ink)}
svg .small{font-size:12px}
svg .end{text-anchor:end}
svg .middle{text-anchor:middle}
.bar{fill:var(--bar)}
.whisker{stroke:var(--edge);stroke-width:1.4}
.axis{stroke:var(--ink);stroke-width:1}
.grid{stroke:var(--rule);stroke-width:.7}
.wanted{stroke:var(--two);stroke-width:2.5}
.curve{fill:none;stroke-width:2}
.curve.c0{stroke:var(--one)}.curve.c1{stroke:var(--two);stroke-dasharray:7 4}.curve.c2{stroke:var(--three);stroke-dasharray:2 4}
.mark.c0{fill:var(--one)}.mark.c1{fill:var(--two)}.mark.c2{fill:var(--three)}
.over{paint-order:stroke;stroke:var(--page);stroke-width:4px}
.keep{white-space:nowrap}
.hollow{fill:var(--page);stroke:var(--ink);stroke-width:1.6}
details{margin:.3rem 0}
summary{cursor:pointer;color:var(--one);width:fit-content}
footer{margin-top:3rem;border-top:1px solid var(--rule);color:var(--quiet);font-size:.95rem}
@media print{
:root{color-scheme:light;--page:#fff;--ink:#000;--quiet:#333;--rule:#999;--soft:#fff;--one:#003d7a;--two:#7a3300;--three:#1d4d2b;--bar:#c5d9ee;--edge:#002b55}
body{max-width:none;padding:0;font-size:10.5pt}
nav{display:none}
h2,h3,caption{break-after:avoid}
figure,tr,.lead{break-inside:avoid}
.scroll{overflow:visible}
svg{max-width:14cm}
summary{display:none}
details::details-content{content-visibility:visible;display:block}
}
""".strip()
