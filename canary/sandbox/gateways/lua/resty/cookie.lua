-- Stands in for lua-resty-cookie.
local _M = {}
_M.__index = _M

function _M.new()
  return setmetatable({}, _M)
end

function _M.get(_, name)
  return ngx.var["cookie_" .. name]
end

function _M.set(_, given)
  local parts = { given.key .. "=" .. given.value }
  local names = { path = "Path", domain = "Domain", expires = "Expires", max_age = "Max-Age", samesite = "SameSite" }
  for field, name in pairs(names) do
    if given[field] then
      parts[#parts + 1] = name .. "=" .. given[field]
    end
  end
  for field, name in pairs({ secure = "Secure", httponly = "HttpOnly" }) do
    if given[field] then
      parts[#parts + 1] = name
    end
  end
  local before = ngx.header["Set-Cookie"] or {}
  if type(before) == "string" then
    before = { before }
  end
  before[#before + 1] = table.concat(parts, "; ")
  ngx.header["Set-Cookie"] = before
  return true
end

return _M
