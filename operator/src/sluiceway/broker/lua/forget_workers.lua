-- Takes incarnations off the list of workers, if they still have no heartbeat.
--
-- In one script: between looking and removing, a worker that was only slow could
-- have written again, and would be overlooked from then on.
--
-- ARGV: the key of the set; what stands before an incarnation in the key of its
--       heartbeat; the incarnations
-- Reply: how many were taken off

local gone = 0
for i = 3, #ARGV do
  if redis.call('EXISTS', ARGV[2] .. ARGV[i]) == 0 then
    gone = gone + redis.call('SREM', ARGV[1], ARGV[i])
  end
end
return gone
