"""The configuration that most tests of fastgw.testing use."""

USERS = """
    listeners:
      web: {bind: "127.0.0.1:8080"}
      other: {bind: "127.0.0.1:8081"}
    upstreams:
      users: {endpoints: ["127.0.0.1:9001", "users.internal:9002"], pool: {max_idle: 4}}
    routes:
      users: {match: {prefix: /users}, strip_prefix: true, to: users}
      hello: {match: {exact: /hello}, to: {static: {status: 200, body: "hello"}}}
      limited:
        match: {exact: /limited}
        chain: [{rate_limit: {name: hits, rate: 1/s, burst: 2, by: client_ip}}]
        to: {static: {status: 200, body: "in time"}}
"""
