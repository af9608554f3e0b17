"""HTTP to servers that others run: metrics servers, webhooks and messengers.

`message` is requests and answers as values, `connections` sends them, within limits of time, size and number, and
`errors` says what goes wrong, in words that may be shown to anybody.
"""
