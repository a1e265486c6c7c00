"""The style sheet of the page."""

CSS = """
.solara-autorouter-content > .v-sheet { row-gap: 0 !important; }
.dg-panels { display: grid; gap: 10px; grid-template-columns: 1fr 1fr; width: 100%; margin: 0 auto; }
.dg-panels { max-width: max(700px, calc((100vh - 205px) * 480 / 290)); } /* two rows of pictures fill the window */
@media (max-width: 1000px) { .dg-panels { grid-template-columns: 1fr; } }
.dg-cards { display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); }
.dg-card { cursor: pointer; border-radius: 6px; padding: 10px 14px; border: 1px solid rgba(128, 128, 128, 0.4); }
.dg-card:hover, .dg-card:focus { border-color: #1976D2; box-shadow: 0 1px 6px rgba(25, 118, 210, 0.45); }
.dg-card.dg-here { border: 2px solid #1976D2; }
.dg-card .dg-name { font-size: 12px; opacity: 0.75; }
.dg-card .dg-title { font-weight: bold; font-size: 14.5px; }
.dg-card .dg-about { font-size: 13px; line-height: 1.35; opacity: 0.9; }
.dg-panel { border-radius: 6px; box-shadow: 0 1px 3px rgba(0, 0, 0, 0.25); line-height: 0; overflow: hidden; }
.dg-world { font-weight: bold; font-size: 15px; padding: 2px 4px; }
.dg-help { font-size: 11.5px; opacity: 0.75; line-height: 1.3; margin: 0 0 10px 0; }
.dg-bar { display: flex; gap: 12px; align-items: center; min-height: 44px; }
.dg-bar > * { flex: 0 0 auto; }
.dg-bar > .dg-grow { flex: 1 1 auto; }
.dg-bar > .v-tabs { flex: 1 1 auto; width: auto; min-width: 0; }
.dg-bar .v-messages, .dg-bar .v-text-field__details { display: none; }
.dg-bar .v-input__slot { margin-bottom: 0; }
.dg-time { min-width: 110px; }
.dg-desk { font-size: 13.5px; }
.dg-desk .v-expansion-panel-header { padding: 8px 12px; min-height: 38px !important; }
.dg-desk .v-expansion-panel-header { font-size: 14px; font-weight: 600; }
.dg-desk .v-expansion-panel-content__wrap { padding: 4px 12px 8px 12px; }
.dg-desk .v-btn { min-width: 40px !important; }
.dg-news { font-weight: bold; color: #B85400; }
.theme--dark .dg-news { color: #F0A050; }
.theme--dark.v-navigation-drawer { background-color: #1E1E1E !important; }
.dg-start { max-width: 620px; margin: 40px auto; }
.v-navigation-drawer { min-width: 316px !important; max-width: 316px !important; width: 316px !important; }
@media (min-width: 900px) { main.v-content { padding-left: 316px !important; } }
"""
