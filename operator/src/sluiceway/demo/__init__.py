"""The demo: the meltdown and its cure, on real processes, in one to two minutes.

story ─▶ shop        the sample's web app under gunicorn, ten request workers
      ─▶ calibrate   how big an export must be on this machine
      ─▶ visitors    a process that clicks and measures, and does nothing else
      ─▶ meltdown, with_sluiceway    the two acts
      ─▶ tally, figures              counted in the shop's database
      ─▶ picture, page               drawn from what was recorded
"""
