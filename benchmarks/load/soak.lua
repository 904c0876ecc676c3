-- wrk -s soak.lua: each connection rests SOAK_DELAY_MS (on average) before a request. Reports as report.lua does.
local rest = tonumber(os.getenv("SOAK_DELAY_MS") or "0")
function delay() return rest > 0 and math.random(0, 2 * rest) or 0 end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, ' ..
        '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        e.connect, e.read, e.write, e.status, e.timeout))
end
