-- Asks Sallyport about the request that HAProxy is working on:
--
--   http-request lua.sallyport 127.0.0.1:8081 Authorization,Cookie,...
--
-- Where the answer is 200, each of the headers that are listed becomes what the
-- answer says, or is taken out. Any other answer is the client's, and where there is
-- none within two seconds he gets 503. It needs HAProxy 2.5 or newer, and nothing else.

local between_hops = {
  ["connection"] = true, ["keep-alive"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true,
  ["upgrade"] = true, ["content-length"] = true, ["expect"] = true,
}

-- carried returns headers as HAProxy's Lua takes them: it gives lists that begin at 0.
local function carried(headers)
  local out = {}
  for name, values in pairs(headers) do
    if not between_hops[name:lower()] then
      out[name] = {}
      for i = 0, #values do table.insert(out[name], values[i]) end
    end
  end
  return out
end

core.register_action("sallyport", { "http-req" }, function(txn, address, names)
  local question = carried(txn.http:req_get_headers())
  question["x-forwarded-method"] = { txn.sf:method() }
  question["x-forwarded-uri"] = { txn.sf:pathq() }
  question["x-forwarded-host"] = { txn.sf:req_hdr("host") }
  question["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  question["x-forwarded-for"] = { txn.sf:src() }

  local answer = core.httpclient():get{ url = "http://" .. address .. "/.auth/check/haproxy", headers = question, timeout = 2000 }
  if not answer or not answer.status or answer.status < 200 then
    local reply = txn:reply{ status = 503, reason = "Service Unavailable", body = "Whether you may come in can not be checked right now.\n" }
    for name, value in pairs({ ["retry-after"] = "5", ["cache-control"] = "no-store", ["content-type"] = "text/plain" }) do
      reply:add_header(name, value)
    end
    return txn:done(reply)
  end
  if answer.status ~= 200 then
    return txn:done(txn:reply{ status = answer.status, reason = answer.reason, headers = carried(answer.headers), body = answer.body })
  end
  for name in names:gmatch("[^,]+") do
    local values = answer.headers[name:lower()]
    txn.http:req_del_header(name)
    if values and values[0] ~= "" then txn.http:req_add_header(name, values[0]) end
  end
end, 2)
