// Pipe appends what each connection sends to a file. A client that gets our FIN
// knows that all is in the file; one that gets a reset, that it may not be.
//
//	node tcp_server/pipe/main.js
'use strict'
const fs = require('node:fs')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, to } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  to: { type: 'string', default: 'message.txt' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const fd = fs.openSync(to, 'a') // by default a stream would empty the file
const open = new Set()

// allowHalfOpen: else Node sends our FIN as soon as it has read the client's, and
// the file may not have all by then.
const server = net.createServer({ allowHalfOpen: true }, pipe)
server.on('error', (err) => {
  console.error(`pipe: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    for (const socket of open) socket.resetAndDestroy() // not all is in the file
    console.log('closed')
    process.exit()
  })
}

function pipe (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  open.add(socket)
  socket.on('close', () => open.delete(socket))
  const file = fs.createWriteStream(to, { fd, autoClose: false })
  const tell = () => console.log(`${peer} piped ${file.bytesWritten} bytes`)

  socket.pipe(file) // pauses the socket while the file is busy, and carries no errors
  file.on('finish', () => { tell(); socket.end() }) // all is in the file: FIN
  file.on('error', (err) => {
    console.error(`pipe: ${err.message}`)
    tell()
    socket.resetAndDestroy() // destroy would send a FIN, if all has been read
  })
  socket.on('error', (err) => { // with no listener it would end the process
    console.error(`pipe: ${err.message}`)
    file.end()
  })
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
