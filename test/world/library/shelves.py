import shelve, dbm, pickle, os
with shelve.open('sh', writeback=True) as d:
    d['k'] = [1]
    d['k'].append(2)
with shelve.open('sh') as d:
    print(dict(d), 'k' in d)
with dbm.open('cache', 'c') as db:
    db[b'hello'] = b'there'
    db['w'] = 'x'
    print(db.get('zz', b'?'), sorted(db.keys()))
import dbm.dumb
print(dbm.whichdb('cache'))

class P:

    def __getstate__(self):
        return {'a': 1}

    def __setstate__(self, s):
        self.b = s
print(pickle.loads(pickle.dumps(P(), 5)).b)
