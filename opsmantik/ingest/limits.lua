-- The generic cell rate algorithm for many clients at once, by the server's own clock, in microseconds.
-- KEYS: one a client and request, in the order of their arrival. ARGV: three numbers a key: what the request costs,
-- how far ahead of the clock a client may be before it must wait, and what the dearest request costs.
-- Returns one number a key: how far ahead the client is now, or less than 0: how long it must wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers = {}
for place, key in ipairs(KEYS) do
    local cost, slack, dearest = tonumber(ARGV[3 * place - 2]), tonumber(ARGV[3 * place - 1]), tonumber(ARGV[3 * place])
    local due = tonumber(redis.call('GET', key) or 0)
    -- Further ahead than any client can get: written before the clock was set back. It must not bind anybody for hours.
    if due < now or due - now > slack + dearest then
        due = now
    end
    if due - now > slack then
        answers[place] = -(due + cost - now - slack)
    else
        due = due + cost
        redis.call('SET', key, string.format('%.0f', due), 'PX', math.max(1, math.ceil((due - now) / 1000)))
        answers[place] = due - now
    end
end
return answers
