// Half_open replies when the client has finished: the client's FIN closes one
// half of the connection, and the other half is still ours.
//
//	node tcp_server/half_open/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, allow } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  allow: { type: 'string', default: 'true' } // --allow=false
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// Unless asked to allow half-open connections, Node ends our half once it has read
// the client's FIN, and there is no replying. Go never does that.
const server = net.createServer({ allowHalfOpen: allow === 'true' }, reply)
server.on('error', (err) => {
  console.error(`half_open: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

// most is what we keep of one client, lest one that never ends fill our memory.
const most = 64 * 1024 * 1024

function reply (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  const data = []
  socket.on('data', (chunk) => {
    data.push(chunk)
    if (socket.bytesRead > most) socket.destroy(new Error(`read ${peer}: more than ${most} bytes`))
  })
  //weave:answer
  socket.on('end', () => {
    console.log(`${peer} ended after ${socket.bytesRead} bytes`)
    if (allow !== 'true') return
    // Later, as a program does that has to think: in this very turn, and in
    // process.nextTick, even the default lets a last end(data) through.
    setImmediate(() => socket.end(Buffer.concat(data), (err) => {
      if (!err) console.log(`${peer} replied ${socket.bytesWritten} bytes`)
    }))
  })
  //weave:end
  socket.on('close', () => console.log(`${peer} closed`))
  socket.on('error', (err) => console.error(`half_open: ${err.message}`)) // with no listener it would end the process
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
