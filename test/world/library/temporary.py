import tempfile, os, shutil
with tempfile.TemporaryFile() as fp:
    fp.write(b'Hello')
    fp.seek(0)
    print(fp.read())
with tempfile.NamedTemporaryFile(delete=False) as fp:
    fp.write(b'x')
    fp.close()
    print(open(fp.name).read())
os.unlink(fp.name)
print(os.path.exists(fp.name))
with tempfile.TemporaryDirectory() as d:
    open(d + '/a', 'w').close()
    print(os.listdir(d))
print(os.path.isdir(tempfile.gettempdir()))
with tempfile.SpooledTemporaryFile(max_size=10) as f:
    f.write(b'y' * 20)
    f.seek(0)
    print(len(f.read()))
