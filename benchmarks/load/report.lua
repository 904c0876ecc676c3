-- wrk -s report.lua: one JSON line at the end of the output, with what the bench reads. Times are in microseconds.
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, ' ..
        '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
        e.connect, e.read, e.write, e.status, e.timeout))
end
