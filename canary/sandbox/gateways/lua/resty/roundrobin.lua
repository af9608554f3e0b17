-- Stands in for OpenResty's resty.roundrobin: a choice by turns that keeps to the weights as evenly as it can.
local _M = {}
_M.__index = _M

function _M.new(_, nodes)
  local self = setmetatable({}, _M)
  self:reinit(nodes)
  return self
end

function _M.reinit(self, nodes)
  self.nodes, self.due = {}, {}
  for name, weight in pairs(nodes) do
    self.nodes[name], self.due[name] = weight, 0
  end
end

function _M.find(self)
  local total, chosen = 0, nil
  for name, weight in pairs(self.nodes) do
    total = total + weight
    self.due[name] = self.due[name] + weight
    if chosen == nil or self.due[name] > self.due[chosen] then
      chosen = name
    end
  end
  if chosen ~= nil then
    self.due[chosen] = self.due[chosen] - total
  end
  return chosen
end

return _M
