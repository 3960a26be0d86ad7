-- TaskQueue follows kstatus: Ready, Reconciling and Stalled, each with observedGeneration.
-- Ready is False only when a person must act. It is Unknown while workers start or the
-- broker cannot be read, which may pass by itself, so neither is Degraded.
local hs = { status = "Progressing", message = "Waiting for the operator to look at it" }

local status = obj.status
if status == nil or status.conditions == nil then
  return hs
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  hs.message = "Waiting for the operator to look at the new spec"
  return hs
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end
local ready, stalled, active = found.Ready, found.Stalled, found.ScalingActive

if stalled ~= nil and stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = stalled.message
  return hs
end
if ready == nil then
  return hs
end
hs.message = ready.message
if ready.status == "False" then
  hs.status = "Degraded"
elseif ready.status == "True" then
  hs.status = "Healthy"
  if active ~= nil and active.status == "False" and active.reason == "Paused" then
    hs.status = "Suspended"
    hs.message = active.message
  end
end
return hs
