"""Pictures in the terminal: what it can do, how they are drawn, the widget that shows them.

An app makes one `painter.Painter` and keeps it as `app.painter`; then any number of
`picture.Picture` widgets show files.
"""
