import logging, logging.config, logging.handlers, sys
logging.config.dictConfig({'version': 1, 'formatters': {'f': {'format': '%(levelname)s %(name)s %(processName)s %(threadName)s %(message)s'}}, 'handlers': {'c': {'class': 'logging.StreamHandler', 'formatter': 'f', 'stream': 'ext://sys.stdout'}, 'r': {'class': 'logging.handlers.RotatingFileHandler', 'filename': 'a.log', 'maxBytes': 200, 'backupCount': 3, 'formatter': 'f'}}, 'root': {'level': 'DEBUG', 'handlers': ['c', 'r']}})
log = logging.getLogger('a.b')
for i in range(20):
    log.warning('message %d', i)
try:
    1 / 0
except ZeroDivisionError:
    log.info('oops %s', 'x')
import os
print(sorted((n for n in os.listdir('.') if n.startswith('a.log'))))
logging.handlers.QueueHandler
h = logging.handlers.MemoryHandler(10)
h.flush()
