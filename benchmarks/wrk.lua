-- Posts each line of a file (signature, tab, body) once, in order; tells the sums on one line.
local requests, last = {}, 0

local function read(path)
   for line in io.lines(path) do
      local tab = line:find("\t", 1, true)
      local headers = { ["Content-Type"] = "application/json", ["X-Hub-Signature-256"] = line:sub(1, tab - 1) }
      requests[#requests + 1] = wrk.format("POST", nil, headers, line:sub(tab + 1))
   end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function init(arguments)
   read(arguments[1])
   known = #requests
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format("RESULT %d %d %d %f %f %d\n", summary.requests, summary.duration,
      e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99), threads[1]:get("known")))
end
