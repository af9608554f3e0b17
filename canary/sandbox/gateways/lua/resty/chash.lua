-- Stands in for OpenResty's resty.chash: the same key finds the same node, and few keys move when nodes change.
local _M = {}
_M.__index = _M

function _M.new(_, nodes)
  local self = setmetatable({}, _M)
  self:reinit(nodes)
  return self
end

function _M.reinit(self, nodes)
  self.nodes = {}
  for name, weight in pairs(nodes) do
    self.nodes[name] = weight
  end
end

function _M.find(self, key)
  local highest, chosen = -1, nil
  for name in pairs(self.nodes) do
    local rank = ngx.crc32_long(name .. "|" .. tostring(key))
    if rank > highest then
      highest, chosen = rank, name
    end
  end
  return chosen
end

return _M
