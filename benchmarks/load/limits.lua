-- wrk -s limits.lua: thread t of LIMITS_THREADS asks for its part of LIMITS_KEYS keys, one after the other, again and again.
local keys = tonumber(os.getenv("LIMITS_KEYS") or "1")
local threads = tonumber(os.getenv("LIMITS_THREADS") or "1")
local made = 0

function setup(thread)
    thread:set("part", made)
    made = made + 1
end

function init(args)
    part, sent = tonumber(part), 0
    each = math.floor(keys / threads)
end

function request()
    sent = sent + 1
    return wrk.format("GET", wrk.path .. "?k=" .. (part * each + (sent - 1) % each))
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('\n{"requests": %d, "status": %d}\n', summary.requests, e.status))
end
