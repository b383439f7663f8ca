return call('HKEYS', QUEUES)
