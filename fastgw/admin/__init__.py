"""The admin surface: health, metrics, status. GET and HEAD only; nothing here changes anything."""
