"""What lets a question in: headers, signatures and certificates out of a Secret, and tokens that are fetched first.

`secret` takes out of a Secret what is about the connection, `http` makes the headers of bearer and basic
authentication, `sigv4` signs for AWS, `google` makes Google's tokens, `oauth2` and `aws` say how others are fetched,
`grants` keeps them, `own` is what the cloud knows the controller as.
"""
